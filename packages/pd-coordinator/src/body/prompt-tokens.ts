import { type JsonValue, rawBytes, uint32Values } from "@pointsman/core/json";

/** The token ids of a prompt: as numbers, and as the JSON text they came in, which goes on as it is. */
export interface PromptTokens {
  readonly ids: Uint32Array;
  readonly text: Uint8Array;
}

/** Missing values: undefined for all that is not an array of token ids. */
export function promptTokens(value: JsonValue | undefined): PromptTokens | undefined {
  const ids = uint32Values(value);
  return value === undefined || ids === undefined ? undefined : { ids, text: rawBytes(value) };
}
