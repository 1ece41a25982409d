export { headerProfileHandler as default } from "./header-profile-handler.ts";
