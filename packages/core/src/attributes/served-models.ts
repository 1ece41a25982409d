import { type AttributeType, defineAttribute } from "./attribute-key.ts";

/** A model that a server offers, as its model list states it. What the list leaves out is `undefined`. */
export interface ServedModel {
  /** The name that requests use. */
  readonly id: string;
  readonly object: string | undefined;
  /** Seconds since 1970. */
  readonly createdAtSeconds: number | undefined;
  readonly ownedBy: string | undefined;
  /** Base model of an adapter. */
  readonly parent: string | undefined;
}

/** Models that an endpoint serves, in the order of its list. */
export const SERVED_MODELS: AttributeType<readonly ServedModel[]> = defineAttribute({
  dataType: "/v1/models",
  scope: "endpoint",
  defaultProducer: "models-data-extractor",
});
