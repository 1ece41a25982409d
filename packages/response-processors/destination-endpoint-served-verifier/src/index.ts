export { destinationEndpointServedVerifier as default } from "./destination-endpoint-served-verifier.ts";
