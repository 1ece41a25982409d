import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import {
  createSessionAffinity,
  type SessionAffinityParams,
  sessionAffinityConsumes,
  sessionAffinityParams,
  sessionAffinityProduces,
} from "@pointsman/core/session-affinity";

export const sessionAffinityScorer: AnyPluginDefinition = definePlugin<SessionAffinityParams>({
  type: "session-affinity-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = the endpoint that the request's session belongs to, 0 = any other.",
  params: sessionAffinityParams,
  consumes: sessionAffinityConsumes,
  produces: sessionAffinityProduces,
  create(params, host) {
    const affinity = createSessionAffinity(params, host);
    return {
      ...affinity.hooks,
      score(request, endpoints, out) {
        const chosen = affinity.choose(request, endpoints);
        for (let i = 0; i < endpoints.length; i++) out[i] = endpoints[i] === chosen ? 1 : 0;
      },
    };
  },
});
