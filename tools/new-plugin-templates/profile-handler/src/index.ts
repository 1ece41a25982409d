export { exampleProfileHandler as default } from "./example-profile-handler.ts";
