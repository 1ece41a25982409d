import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/** Where an endpoint runs. Absent parts are unknown. */
export interface Topology {
  readonly hostname?: string;
  readonly rack?: string;
  readonly zone?: string;
  readonly region?: string;
}

/** Place of an endpoint. It does not age: read it with `get`. */
export const TOPOLOGY: AttributeType<Topology> = defineAttribute({
  dataType: "Topology",
  scope: "endpoint",
  defaultProducer: "topology-extractor",
  autoCreate: true,
});
