import type { Endpoint } from "../endpoint.ts";
import { type AttributeKey, defineAttribute } from "./attribute-key.ts";

/** Endpoint chosen by the profile that ran before: plugins of the next profile choose one near it. */
export const PEER_ENDPOINT: AttributeKey<Endpoint> = defineAttribute<Endpoint>({
  dataType: "peer-endpoint",
  scope: "request",
  defaultProducer: "disagg-profile-handler",
}).from();
