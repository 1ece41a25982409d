import type { Endpoint } from "../endpoint.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";

const usualPrefillProfile = "prefill";

/**
 * The endpoint that computes the prompt's KV cache for the primary target, `undefined` when there is none.
 *
 * It is the first target of the profile that the profile handler names as the prefill profile; where it names none, of
 * the profile called `prefill`.
 */
export function prefillTarget(result: SchedulingResult): Endpoint | undefined {
  const profile = prefillProfile(result);
  return profile === undefined ? undefined : result.profiles.get(profile)?.targets[0];
}

/** The profile that {@link prefillTarget} is taken from, `undefined` when there is no such target. */
export function prefillProfile(result: SchedulingResult): string | undefined {
  const profile = result.prefillProfile ?? usualPrefillProfile;
  if (profile === result.primaryProfile) return undefined;
  return result.profiles.get(profile)?.targets[0] === undefined ? undefined : profile;
}
