import { get, type JsonValue } from "@pointsman/core/json";
import { jsonText, noStream } from "@pointsman/pd-sidecar/shared";

const one = jsonText(1);

/** Adds the edits that make a server generate one token of a chat or a completion, and answer with one document. */
export function capOutput(edits: Map<string, Uint8Array | undefined>, root: JsonValue | undefined): void {
  edits.set("max_tokens", one);
  edits.set("min_tokens", undefined);
  if (get(root, "max_completion_tokens") !== undefined) edits.set("max_completion_tokens", one);
  noStream(edits);
}
