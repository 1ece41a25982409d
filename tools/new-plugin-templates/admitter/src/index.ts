export { exampleAdmitter as default } from "./example-admitter.ts";
