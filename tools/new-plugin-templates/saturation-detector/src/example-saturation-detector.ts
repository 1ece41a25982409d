import { type AnyPluginDefinition, definePlugin, WAITING_QUEUE_SIZE } from "@pointsman/core";
import { type ExampleSaturationDetectorParams, exampleSaturationDetectorParams } from "./params.ts";

/** 0 = nothing waits, 1 = full or not known. */
export function fullShare(waitingRequests: number | undefined, fullWaitingRequests: number): number {
  // Written so that NaN, too, counts as not known.
  if (waitingRequests === undefined || !(waitingRequests >= 0)) return 1;
  return Math.min(1, waitingRequests / fullWaitingRequests);
}

export const exampleSaturationDetector: AnyPluginDefinition = definePlugin<ExampleSaturationDetectorParams>({
  type: "example-saturation-detector",
  kind: "saturation-detector",
  stability: "beta",
  summary: "Saturation = mean share of full waiting queues; 1 when all are full.",
  params: exampleSaturationDetectorParams,
  consumes: () => ({ required: [WAITING_QUEUE_SIZE] }),
  create({ fullWaitingRequests }, host) {
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    return {
      saturation(endpoints, nowMs) {
        if (endpoints.length === 0) return 1;
        let sum = 0;
        for (let i = 0; i < endpoints.length; i++) {
          sum += fullShare(waiting.fresh(endpoints[i]!, nowMs), fullWaitingRequests);
        }
        return sum / endpoints.length;
      },
    };
  },
});
