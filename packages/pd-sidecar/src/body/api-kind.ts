import type { JsonValue } from "@pointsman/core/json";
import { get } from "@pointsman/core/json";
import { editObject } from "./edit-object.ts";
import { jsonText } from "./json-text.ts";

/** Which API a request speaks, which decides the names of its limits and of its usage report. */
export type ApiKind = "chat_completions" | "messages" | "responses" | "generate";

const apiOfPath: ReadonlyMap<string, ApiKind> = new Map([
  ["/v1/chat/completions", "chat_completions"],
  ["/v1/completions", "chat_completions"],
  ["/v1/messages", "messages"],
  ["/v1/responses", "responses"],
  ["/inference/v1/generate", "generate"],
] as const);

/** Missing values: undefined for a path that no connector serves. */
export function apiKindOf(path: string): ApiKind | undefined {
  return apiOfPath.get(path);
}

const one = jsonText(1);

/**
 * Adds the edits that make a server generate one token.
 * `whole`: every limit of the API, whether or not the client sent it; else only the one that counts, and those that the
 * client sent.
 */
export function capOutput(
  edits: Map<string, Uint8Array | undefined>,
  api: ApiKind,
  root: JsonValue,
  whole: boolean,
): void {
  if (api === "responses") {
    edits.set("max_output_tokens", one);
  } else if (api === "generate") {
    const sampling = get(root, "sampling_params");
    const inner = new Map<string, Uint8Array | undefined>([["max_tokens", one]]);
    if (whole || get(sampling, "min_tokens") !== undefined) inner.set("min_tokens", one);
    edits.set("sampling_params", Buffer.concat(editObject(sampling, inner)));
  } else {
    edits.set("max_tokens", one);
    if (whole || get(root, "max_completion_tokens") !== undefined) edits.set("max_completion_tokens", one);
    if (whole || get(root, "min_tokens") !== undefined) edits.set("min_tokens", one);
  }
}

/** Adds the edits that make a server answer with one JSON document. */
export function noStream(edits: Map<string, Uint8Array | undefined>): void {
  edits.set("stream", jsonText(false));
  edits.set("stream_options", undefined);
}
