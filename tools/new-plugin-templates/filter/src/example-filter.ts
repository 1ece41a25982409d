import { type AnyPluginDefinition, definePlugin, type Endpoint, WAITING_QUEUE_SIZE } from "@pointsman/core";
import { type ExampleFilterParams, exampleFilterParams } from "./params.ts";

export const exampleFilter: AnyPluginDefinition = definePlugin<ExampleFilterParams>({
  type: "example-filter",
  kind: "filter",
  stability: "beta",
  summary: "Keeps endpoints with a short waiting queue; all of them when none has one.",
  params: exampleFilterParams,
  consumes: () => ({ required: [WAITING_QUEUE_SIZE] }),
  create({ maxWaitingRequests }, host) {
    const waiting = host.endpointReader(WAITING_QUEUE_SIZE);
    return {
      filter(request, endpoints) {
        // A list of its own only once an endpoint is left out.
        let kept: Endpoint[] | undefined;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          const waitingRequests = waiting.fresh(endpoint, request.nowMs);
          const isShort =
            waitingRequests !== undefined && waitingRequests >= 0 && waitingRequests <= maxWaitingRequests;
          if (!isShort) kept ??= endpoints.slice(0, i);
          else kept?.push(endpoint);
        }
        return kept === undefined || kept.length === 0 ? endpoints : kept;
      },
    };
  },
});
