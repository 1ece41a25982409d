import { type JsonValue, scanJson } from "../json/index.ts";
import { goKind } from "./type-faults.ts";

/** Nesting that is accepted: as deep as the peer's JSON reader goes. */
const maxDepth = 10_000;

/**
 * Reads a request body that must be a JSON object. `goType` is what the peer reads it into, for the error's text.
 * Shape: the object; or null, which the peer reads as an object without members, as all functions on values do.
 * Errors: the peer's text, returned as a string. Cost: one pass.
 */
export function scanBody(body: Uint8Array, goType: string = "map[string]interface {}"): JsonValue | string {
  const document = scanJson(body, { maxDepth });
  if (!document.ok) return document.message;
  const { root } = document;
  if (root.kind === "object" || root.kind === "null") return root;
  return `json: cannot unmarshal ${goKind(root)} into Go value of type ${goType}`;
}
