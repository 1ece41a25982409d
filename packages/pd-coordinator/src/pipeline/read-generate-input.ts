import { get } from "@pointsman/core/json";
import { promptTokens } from "../body/prompt-tokens.ts";
import { readImageEntries } from "../body/read-image-entries.ts";
import type { RequestContext } from "./request-context.ts";

/**
 * Checks a request to `/inference/v1/generate`, and takes its token ids and images. A text says what is wrong. Source:
 * spec disaggregation, section 10.4.
 */
export function readGenerateInput(context: RequestContext): string | undefined {
  const { root } = context;
  const given = get(root, "token_ids");
  if (given === undefined || given.kind === "null") return "token_ids is required";
  if (given.kind !== "array") return "token_ids must be an array";
  const tokens = promptTokens(given);
  if (tokens === undefined) return "token_ids must hold whole numbers from 0 to 4294967295";
  const { length } = tokens.ids;
  if (length === 0) return "token_ids must not be empty";
  const sampling = get(root, "sampling_params");
  if (sampling !== undefined && sampling.kind !== "object" && sampling.kind !== "null") {
    return "sampling_params must be an object";
  }
  const extra = get(sampling, "extra_args");
  if (extra !== undefined && extra.kind !== "object" && extra.kind !== "null") {
    return "sampling_params.extra_args must be an object";
  }
  const images = readImageEntries(get(root, "features"));
  if (typeof images === "string") return images;
  for (const [i, { offset, lengthTokens }] of images.entries()) {
    if (offset >= length) return `mm_placeholders[${i}].offset ${offset} is beyond ${length} token_ids`;
    if (offset + lengthTokens > length) return `mm_placeholders[${i}] ends beyond ${length} token_ids`;
  }
  context.tokens = tokens;
  context.images = images;
  return undefined;
}
