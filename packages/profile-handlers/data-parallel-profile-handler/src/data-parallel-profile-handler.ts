import {
  type AnyPluginDefinition,
  definePlugin,
  type ProfileResults,
  RequestError,
  type SchedulingResult,
  wireNames,
} from "@pointsman/core";
import { type DataParallelProfileHandlerParams, dataParallelProfileHandlerParams } from "./params.ts";

const nothingToRun: readonly string[] = [];

/**
 * What the one profile came to: its first target, reached through `primaryPort`, or its error.
 *
 * Further targets are left out: the header names one rank, and a sidecar elsewhere refuses it.
 */
export function decisionOf(results: ProfileResults, primaryPort: number): SchedulingResult | RequestError {
  for (const [name, result] of results) {
    if (result instanceof RequestError) return result;
    const chosen = { ...result, targets: result.targets.slice(0, 1) };
    return { primaryProfile: name, profiles: new Map([[name, chosen]]), destinationPort: primaryPort };
  }
  return new RequestError("Internal", "no scheduling profile ran");
}

export const dataParallelProfileHandler: AnyPluginDefinition = definePlugin<DataParallelProfileHandlerParams>({
  type: "data-parallel-profile-handler",
  kind: "profile-handler",
  stability: "beta",
  summary: "Runs the one profile; the request goes to the pod's primary port, and a header names the rank.",
  params: dataParallelProfileHandlerParams,
  create({ primaryPort }, host) {
    host.logger.warn({}, "data-parallel-profile-handler is deprecated: with Istio 1.28.1 or later it is not needed");
    return {
      pickProfiles: (_request, profiles, results) => (results.size === 0 ? profiles : nothingToRun),
      processResults: (_request, results) => decisionOf(results, primaryPort),
      preRequest(request, result) {
        const target = result.profiles.get(result.primaryProfile)?.targets[0];
        if (target !== undefined) request.upstreamHeaders.set(wireNames.dataParallelHostPort, target.hostPort);
        return undefined;
      },
      checkProfiles(profiles) {
        if (profiles.length === 1) return undefined;
        const found = profiles.length === 0 ? "there is none" : `there are ${profiles.length}: ${profiles.join(", ")}`;
        return `data-parallel-profile-handler needs exactly one scheduling profile; ${found}`;
      },
    };
  },
});
