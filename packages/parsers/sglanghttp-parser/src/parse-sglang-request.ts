import { type ParsedRequest, RequestError } from "@pointsman/core";
import { firstLimit, scanBody, TypeFaults } from "@pointsman/core/body";
import { get, type JsonValue, stringValue, uint32Values } from "@pointsman/core/json";

/**
 * Checks a body of SGLang's generate API and gives what routing needs of it.
 * Errors: BadRequest with the text llm-d gives; never throws. Cost: one pass over the body, one over the token ids.
 */
export function parseSglangRequest(path: string, body: Uint8Array): ParsedRequest | RequestError {
  const name = path.endsWith("/") ? path.slice(0, -1) : path;
  if (name !== "/generate" && name !== "generate") return badRequest(`unsupported path: ${name}`);
  const root = scanBody(body, "sglanghttp.sgLangGenerateWire");
  if (typeof root === "string") return badRequest(`invalid generate request: ${root}`);
  const faults = new TypeFaults();
  const stream = get(root, "stream");
  faults.expect(stream, "sgLangGenerateWire.stream", "bool", "true", "false");
  if (faults.text !== undefined) return badRequest(`invalid generate request: ${faults.text}`);
  const inputIds = get(root, "input_ids");
  if (inputIds === undefined || inputIds.kind === "null") {
    return badRequest("invalid generate request: input_ids must be provided");
  }
  const extraKey = get(root, "extra_key");
  if (extraKey !== undefined && extraKey.kind !== "null" && extraKey.kind !== "string") {
    return badRequest("unsupported generate request: extra_key must be a string");
  }
  const tokenIds = plainIntegers(inputIds);
  if (tokenIds === undefined) {
    return badRequest("invalid generate request: input_ids must be an array of uint32 integers");
  }
  if (tokenIds.length === 0) return badRequest("invalid generate request: input_ids cannot be empty");
  return {
    model: undefined,
    stream: stream?.kind === "true",
    maxOutputTokens: firstLimit(get(root, "sampling_params"), ["max_new_tokens"]),
    cacheSalt: stringValue(extraKey) || undefined,
    promptSegments: () => [],
    promptTokenIds: () => [tokenIds],
  };
}

/** Reads token ids that are written as digits only. Missing values: undefined for anything else. */
function plainIntegers(value: JsonValue): Uint32Array | undefined {
  const tokenIds = uint32Values(value);
  if (tokenIds === undefined) return undefined;
  const { bytes } = value.document;
  for (let at = value.start; at < value.end; at++) {
    const byte = bytes[at]!;
    // A sign, a point, an exponent.
    if (byte === 0x2d || byte === 0x2e || (byte | 0x20) === 0x65) return undefined;
  }
  return tokenIds;
}

function badRequest(message: string): RequestError {
  return new RequestError("BadRequest", message);
}
