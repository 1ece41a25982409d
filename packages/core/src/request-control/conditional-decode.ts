import type { AttributeKey } from "../attributes/attribute-key.ts";
import type { PrefixMatch } from "../attributes/prefix-match.ts";
import type { Headers } from "../headers.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import type { InferenceRequest } from "../request.ts";
import { RequestError } from "../request-error.ts";

/**
 * `Prefer: if-available` asks for an endpoint that already holds part of the prompt: without one the client gets a 412,
 * and may run the prefill elsewhere. Source: spec ext-proc section 5, step 13.
 *
 * Looks at the first target of the primary profile. Where nothing says what it holds, it holds nothing.
 */
export function conditionalDecodeMiss(
  request: InferenceRequest,
  result: SchedulingResult,
  prefixMatches: readonly AttributeKey<PrefixMatch>[],
): RequestError | undefined {
  if (!prefersIfAvailable(request.headers)) return undefined;
  const slot = result.profiles.get(result.primaryProfile)?.targets[0]?.slot;
  for (const key of prefixMatches) {
    const matched = slot === undefined ? undefined : request.attributes.get(key)?.matchedBlocks[slot];
    if (matched !== undefined && matched > 0) return undefined;
  }
  return new RequestError("PreconditionFailed", "no decode worker has the requested KV cache");
}

/** The header may repeat and holds a comma list; parameters do not matter. */
function prefersIfAvailable({ names, values }: Headers): boolean {
  for (let i = 0; i < names.length; i++) {
    if (names[i] !== "prefer") continue;
    for (const entry of values[i]!.split(",")) {
      if (entry.split(";", 1)[0]!.trim().toLowerCase() === "if-available") return true;
    }
  }
  return false;
}
