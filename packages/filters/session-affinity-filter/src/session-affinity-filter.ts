import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import {
  createSessionAffinity,
  type SessionAffinityParams,
  sessionAffinityConsumes,
  sessionAffinityParams,
  sessionAffinityProduces,
} from "@pointsman/core/session-affinity";

export const sessionAffinityFilter: AnyPluginDefinition = definePlugin<SessionAffinityParams>({
  type: "session-affinity-filter",
  variants: [{ type: "multicluster-session-affinity-filter", stability: "alpha" }],
  kind: "filter",
  stability: "alpha",
  summary: "Keeps the endpoint that the request's session belongs to, all where there is none.",
  params: sessionAffinityParams,
  consumes: sessionAffinityConsumes,
  produces: sessionAffinityProduces,
  create(params, host) {
    const affinity = createSessionAffinity(params, host);
    return {
      ...affinity.hooks,
      filter(request, endpoints) {
        const chosen = affinity.choose(request, endpoints);
        return chosen === undefined || endpoints.length === 1 ? endpoints : [chosen];
      },
    };
  },
});
