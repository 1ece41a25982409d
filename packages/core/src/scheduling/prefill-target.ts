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
  const profile = result.prefillProfile ?? usualPrefillProfile;
  return profile === result.primaryProfile ? undefined : result.profiles.get(profile)?.targets[0];
}
