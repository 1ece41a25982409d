import {
  type DisaggregationDecider,
  type Endpoint,
  type InferenceRequest,
  type ProfileResult,
  type ProfileResults,
  RequestError,
  type SchedulingResult,
} from "@pointsman/core";
import type { DisaggProfileHandlerParams } from "./params.ts";

const nothingToRun: readonly string[] = [];

/** What {@link nextStage} works with. */
export interface Stages extends Omit<DisaggProfileHandlerParams, "prefillDecider" | "encodeDecider"> {
  readonly prefillDecider: DisaggregationDecider | undefined;
  readonly encodeDecider: DisaggregationDecider | undefined;
  /** Tells plugins of the next profile which endpoint the profile before chose. */
  setPeer(request: InferenceRequest, peer: Endpoint): void;
}

/** The result of a profile that ran and found an endpoint. */
export function foundIn(results: ProfileResults, profile: string): ProfileResult | undefined {
  const result = results.get(profile);
  return result instanceof RequestError ? undefined : result;
}

/**
 * Names the profile to run next; an empty list when all stages are through or decode failed.
 *
 * A stage that ran is known by its result, so each decider is asked once for a request: with a no it goes on to the next
 * stage in the same call.
 */
export function nextStage(
  stages: Stages,
  request: InferenceRequest,
  profiles: readonly string[],
  results: ProfileResults,
): readonly string[] {
  return stages.stageOrder === "decode-first"
    ? afterDecode(stages, request, profiles, results)
    : beforeDecode(stages, request, profiles, results);
}

function afterDecode(
  stages: Stages,
  request: InferenceRequest,
  profiles: readonly string[],
  results: ProfileResults,
): readonly string[] {
  const { decodeProfile, encodeProfile, prefillProfile, prefillDecider } = stages;
  if (!results.has(decodeProfile)) return profiles.includes(decodeProfile) ? [decodeProfile] : nothingToRun;
  const decode = foundIn(results, decodeProfile)?.targets[0];
  if (decode === undefined || results.has(prefillProfile)) return nothingToRun;
  if (!results.has(encodeProfile) && encodes(stages, request, profiles, decode)) return [encodeProfile];
  if (!profiles.includes(prefillProfile) || prefillDecider?.disaggregate(request, decode) !== true) return nothingToRun;
  stages.setPeer(request, decode);
  return [prefillProfile];
}

function beforeDecode(
  stages: Stages,
  request: InferenceRequest,
  profiles: readonly string[],
  results: ProfileResults,
): readonly string[] {
  const { decodeProfile, encodeProfile, prefillProfile } = stages;
  if (results.has(decodeProfile)) return nothingToRun;
  if (!results.has(encodeProfile)) {
    if (!results.has(prefillProfile) && profiles.includes(prefillProfile)) return [prefillProfile];
    if (encodes(stages, request, profiles, undefined)) return [encodeProfile];
  }
  const prefill = foundIn(results, prefillProfile)?.targets[0];
  if (prefill !== undefined) stages.setPeer(request, prefill);
  return profiles.includes(decodeProfile) ? [decodeProfile] : nothingToRun;
}

function encodes(
  { encodeProfile, encodeDecider }: Stages,
  request: InferenceRequest,
  profiles: readonly string[],
  decode: Endpoint | undefined,
): boolean {
  return profiles.includes(encodeProfile) && encodeDecider?.disaggregate(request, decode) === true;
}

/**
 * The decision: decode is where the request goes, with every other stage that found an endpoint. One that found none is
 * left out, and decode does its work. Without a decode endpoint, the error of the decode profile.
 */
export function decisionOf(
  { decodeProfile, prefillProfile, encodeProfile }: Omit<Stages, "setPeer">,
  results: ProfileResults,
): SchedulingResult | RequestError {
  const decode = results.get(decodeProfile);
  const none = "failed to find available decode workers";
  if (decode === undefined) return new RequestError("ResourceExhausted", none);
  if (decode instanceof RequestError) return new RequestError(decode.code, `${none}: ${decode.message}`, decode.reason);
  const profiles = new Map([[decodeProfile, decode]]);
  for (const name of [prefillProfile, encodeProfile]) {
    const result = foundIn(results, name);
    if (result !== undefined) profiles.set(name, result);
  }
  return { primaryProfile: decodeProfile, prefillProfile, profiles };
}
