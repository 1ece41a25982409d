import {
  type AnyPluginDefinition,
  definePlugin,
  PEER_ENDPOINT,
  sharedTopologyLevel,
  TOPOLOGY,
  type TopologyLevel,
} from "@pointsman/core";
import { type TopologyAffinityScorerParams, topologyAffinityScorerParams } from "./params.ts";

/** Source: spec scheduling-plugins C9. */
const scoreOf: { readonly [L in TopologyLevel]: number } = { host: 1, rack: 0.2, zone: 0.05, region: 0.02 };

export const topologyAffinityScorer: AnyPluginDefinition = definePlugin<TopologyAffinityScorerParams>({
  type: "topology-affinity-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = on the host of the endpoint chosen before, 0 = not even in its region, or unknown.",
  params: topologyAffinityScorerParams,
  consumes: ({ topologyProducerName }) => ({ optional: [TOPOLOGY.from(topologyProducerName), PEER_ENDPOINT] }),
  create({ topologyProducerName }, host) {
    const places = host.endpointReader(TOPOLOGY.from(topologyProducerName));
    const peers = host.requestReader(PEER_ENDPOINT);
    return {
      score(request, endpoints, out) {
        const peer = peers.get(request);
        const peerPlace = peer === undefined ? undefined : places.get(peer);
        for (let i = 0; i < endpoints.length; i++) {
          const level = sharedTopologyLevel(peerPlace, places.get(endpoints[i]!));
          out[i] = level === undefined ? 0 : scoreOf[level];
        }
      },
    };
  },
});
