import { type ParsedRequest, RequestError } from "@pointsman/core";
import { firstLimit, JsonRequest, scanBody, TypeFaults } from "@pointsman/core/body";
import { elements, get, type JsonValue, numberValue, uint32Values } from "@pointsman/core/json";
import { checkFeatures, hasTooManyMedia, maxMedia, readFeatures } from "./features.ts";
import { goNumber } from "./go-number.ts";

/**
 * Checks a body of vLLM's generate API and gives what routing needs of it.
 * Errors: BadRequest with the text llm-d gives; never throws. Cost: one pass over the body, one over the token ids.
 * The result refers to `body`.
 */
export function parseGenerateRequest(path: string, body: Uint8Array): ParsedRequest | RequestError {
  const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
  if (!`/${trimmed}`.endsWith("/inference/v1/generate")) return badRequest(`unsupported path: ${path}`);
  const root = scanBody(body);
  if (typeof root === "string") return badRequest(root);
  const ids = get(root, "token_ids");
  const cacheSalt = get(root, "cache_salt");
  const features = get(root, "features");
  const tokenIds = uint32Values(ids);
  if (hasTooManyMedia(features)) {
    return badRequest(`invalid generate request: features hold more than ${maxMedia} media`);
  }
  const faults = new TypeFaults();
  faults.expect(cacheSalt, ".cache_salt", "string", "string");
  checkFeatures(features, faults);
  if (tokenIds === undefined) checkKinds(ids, faults);
  const fault = faults.text ?? (tokenIds === undefined ? firstWrongId(ids) : undefined);
  if (fault !== undefined) return badRequest(`invalid generate request: ${fault}`);
  if (tokenIds === undefined || tokenIds.length === 0) {
    return badRequest("invalid generate request: must have non-empty token_ids field");
  }
  return new JsonRequest(root, {
    maxOutputTokens: firstLimit(get(root, "sampling_params"), ["max_tokens"]),
    cacheSalt,
    prompt: {
      segments: () => [],
      tokenIds: [tokenIds],
      features: () => [readFeatures(features, tokenIds.length)],
    },
  });
}

function checkKinds(ids: JsonValue | undefined, faults: TypeFaults): void {
  if (!faults.expect(ids, ".token_ids", "[]float64", "array")) return;
  const list = elements(ids);
  while (list.next()) if (!faults.expect(list, ".token_ids", "float64", "number") && list.kind !== "null") return;
}

/** Describes the first element that is no token id. Missing values: undefined when `ids` is no list. */
function firstWrongId(ids: JsonValue | undefined): string | undefined {
  const list = elements(ids);
  for (let i = 0; list.next(); i++) {
    const id = numberValue(list);
    if (id === undefined) return `token_ids[${i}]: invalid value null`;
    if (id < 0 || id > 0xffff_ffff || !Number.isInteger(id)) return `token_ids[${i}]: invalid value ${goNumber(id)}`;
  }
  return undefined;
}

function badRequest(message: string): RequestError {
  return new RequestError("BadRequest", message);
}
