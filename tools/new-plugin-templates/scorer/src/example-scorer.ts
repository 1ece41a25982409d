import { type AnyPluginDefinition, definePlugin, RUNNING_REQUESTS_SIZE } from "@pointsman/core";
import { type ExampleScorerParams, exampleScorerParams } from "./params.ts";

/** 1 when nothing runs, 0 from `busyRequests` on and when the number is not known; linear between them. */
export function idleShare(runningRequests: number | undefined, busyRequests: number): number {
  // Written so that NaN, too, counts as not known.
  if (runningRequests === undefined || !(runningRequests >= 0)) return 0;
  return Math.max(0, 1 - runningRequests / busyRequests);
}

export const exampleScorer: AnyPluginDefinition = definePlugin<ExampleScorerParams>({
  type: "example-scorer",
  kind: "scorer",
  stability: "beta",
  summary: "1 = no running request, 0 = as many as make an endpoint busy.",
  params: exampleScorerParams,
  consumes: () => ({ required: [RUNNING_REQUESTS_SIZE] }),
  create({ busyRequests }, host) {
    const running = host.endpointReader(RUNNING_REQUESTS_SIZE);
    return {
      score(request, endpoints, out) {
        for (let i = 0; i < endpoints.length; i++) {
          out[i] = idleShare(running.fresh(endpoints[i]!, request.nowMs), busyRequests);
        }
      },
    };
  },
});
