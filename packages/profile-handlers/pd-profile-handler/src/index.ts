export { pdProfileHandler as default } from "./pd-profile-handler.ts";
