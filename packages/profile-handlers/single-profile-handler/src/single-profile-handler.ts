import {
  type AnyPluginDefinition,
  definePlugin,
  type ProfileResults,
  RequestError,
  type SchedulingResult,
} from "@pointsman/core";

const nothingToRun: readonly string[] = [];

/** What the one profile came to: its result as the primary one, or its error. */
export function decisionOf(results: ProfileResults): SchedulingResult | RequestError {
  for (const [name, result] of results) {
    if (result instanceof RequestError) return result;
    return { primaryProfile: name, profiles: new Map([[name, result]]) };
  }
  return new RequestError("Internal", "no scheduling profile ran");
}

export const singleProfileHandler: AnyPluginDefinition = definePlugin({
  type: "single-profile-handler",
  kind: "profile-handler",
  stability: "beta",
  summary: "Runs the one scheduling profile there is.",
  create: () => ({
    pickProfiles: (_request, profiles, results) => (results.size === 0 ? profiles : nothingToRun),
    processResults: (_request, results) => decisionOf(results),
    checkProfiles(profiles) {
      if (profiles.length === 1) return undefined;
      const found = profiles.length === 0 ? "there is none" : `there are ${profiles.length}: ${profiles.join(", ")}`;
      return `single-profile-handler needs exactly one scheduling profile; ${found}`;
    },
  }),
});
