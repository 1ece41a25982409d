import type { InferenceObjective } from "@pointsman/core";
import { asInteger, asRecord, type JsonRecord } from "./json-value.ts";

/** Reads an InferenceObjective. A priority that is no whole number counts as not stated. */
export function readObjective(name: string, object: JsonRecord): InferenceObjective {
  return { name, priority: asInteger(asRecord(object["spec"])["priority"]) };
}
