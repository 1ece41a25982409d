export { endpointAttributeFilter as default } from "./endpoint-attribute-filter.ts";
