export { singleProfileHandler as default } from "./single-profile-handler.ts";
