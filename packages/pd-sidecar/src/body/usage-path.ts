import { get, type JsonValue } from "@pointsman/core/json";
import type { ApiKind } from "./api-kind.ts";
import { editObject } from "./edit-object.ts";

/** Finds the number of cached prompt tokens in a reply of the prefill server, as JSON text. Missing values: undefined. */
export function cachedTokensOf(api: ApiKind, root: JsonValue): JsonValue | undefined {
  const usage = get(root, "usage");
  const found =
    api === "messages"
      ? (get(usage, "cache_read_input_tokens") ?? get(get(usage, "prompt_tokens_details"), "cached_tokens"))
      : get(get(usage, detailsOf(api)), "cached_tokens");
  return found?.kind === "number" ? found : undefined;
}

/**
 * Writes a number of cached prompt tokens into a reply or an event of one.
 * Shape: the slices of the new text of `root`'s document. Missing values: undefined when there is no usage report, and
 * for the Messages API when the report has no such field.
 */
export function withCachedTokens(api: ApiKind, root: JsonValue, cached: Uint8Array): Uint8Array[] | undefined {
  if (root.kind !== "object") return undefined;
  // Events carry the report inside the response or message they are about.
  const inner = api === "responses" ? "response" : api === "messages" ? "message" : undefined;
  const holder = inner === undefined ? undefined : get(root, inner);
  const report = get(root, "usage") ?? get(holder, "usage");
  if (report?.kind !== "object") return undefined;
  const edits = new Map<string, Uint8Array>();
  if (api === "messages") {
    if (get(report, "cache_read_input_tokens") === undefined) return undefined;
    edits.set("cache_read_input_tokens", cached);
  } else {
    const name = detailsOf(api);
    edits.set(name, Buffer.concat(editObject(get(report, name), new Map([["cached_tokens", cached]]))));
  }
  const { bytes } = root.document;
  return [bytes.subarray(0, report.start), ...editObject(report, edits), bytes.subarray(report.end)];
}

function detailsOf(api: ApiKind): string {
  return api === "responses" ? "input_tokens_details" : "prompt_tokens_details";
}
