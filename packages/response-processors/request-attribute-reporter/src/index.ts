export { requestAttributeReporter as default } from "./request-attribute-reporter.ts";
