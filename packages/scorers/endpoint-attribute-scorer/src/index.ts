export { endpointAttributeScorer as default } from "./endpoint-attribute-scorer.ts";
