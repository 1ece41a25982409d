export { disaggProfileHandler as default } from "./disagg-profile-handler.ts";
