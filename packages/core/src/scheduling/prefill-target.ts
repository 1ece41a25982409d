import type { Endpoint } from "../endpoint.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import type { InferenceRequest } from "../request.ts";
import { wireNames } from "../wire-names.ts";

const prefillProfile = "prefill";

/**
 * The endpoint that computes the prompt's KV cache for the primary target, `undefined` when there is none.
 *
 * It is the first target of the profile whose host and port the profile handler announces to the sidecar; where nothing
 * is announced yet, of the profile named `prefill`.
 */
export function prefillTarget(request: InferenceRequest, result: SchedulingResult): Endpoint | undefined {
  const announced = request.upstreamHeaders.get(wireNames.prefillHostPort);
  for (const [name, profile] of result.profiles) {
    if (name === result.primaryProfile) continue;
    const target = profile.targets[0];
    if (announced === undefined ? name === prefillProfile : target?.hostPort === announced) return target;
  }
  return undefined;
}
