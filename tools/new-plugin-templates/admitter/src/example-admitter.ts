import { type AnyPluginDefinition, definePlugin, RequestError, WAITING_QUEUE_SIZE } from "@pointsman/core";
import { type ExampleAdmitterParams, exampleAdmitterParams } from "./params.ts";

export const exampleAdmitter: AnyPluginDefinition = definePlugin<ExampleAdmitterParams>({
  type: "example-admitter",
  kind: "admitter",
  stability: "beta",
  summary: "Refuses requests of negative priority with 429 while every candidate is busy.",
  params: exampleAdmitterParams,
  consumes: () => ({ required: [WAITING_QUEUE_SIZE] }),
  create({ busyWaitingRequests }, host) {
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    return {
      admitRequest(request, endpoints) {
        if (request.priority >= 0 || endpoints.length === 0) return undefined;
        for (let i = 0; i < endpoints.length; i++) {
          const waitingRequests = waiting.fresh(endpoints[i]!, request.nowMs);
          if (waitingRequests !== undefined && waitingRequests < busyWaitingRequests) return undefined;
        }
        return new RequestError("ResourceExhausted", "every endpoint is busy", "rejected-saturated");
      },
    };
  },
});
