export { exampleResponseProcessor as default } from "./example-response-processor.ts";
