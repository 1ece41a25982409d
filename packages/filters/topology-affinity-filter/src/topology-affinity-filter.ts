import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  PEER_ENDPOINT,
  sharedTopologyLevel,
  TOPOLOGY,
  topologyLevels,
} from "@pointsman/core";
import { type TopologyAffinityFilterParams, topologyAffinityFilterParams } from "./params.ts";

export const topologyAffinityFilter: AnyPluginDefinition = definePlugin<TopologyAffinityFilterParams>({
  type: "topology-affinity-filter",
  kind: "filter",
  stability: "alpha",
  summary: "Keeps endpoints in the same host, rack, zone or region as the endpoint chosen before.",
  params: topologyAffinityFilterParams,
  consumes: ({ topologyProducerName }) => ({ optional: [TOPOLOGY.from(topologyProducerName), PEER_ENDPOINT] }),
  create({ minAffinity, topologyProducerName }, host) {
    const places = host.endpointReader(TOPOLOGY.from(topologyProducerName));
    const peers = host.requestReader(PEER_ENDPOINT);
    const near = new Set(topologyLevels.slice(0, topologyLevels.indexOf(minAffinity) + 1));
    return {
      filter(request, endpoints) {
        const peer = peers.get(request);
        const peerPlace = peer === undefined ? undefined : places.get(peer);
        if (peerPlace === undefined) return endpoints;
        let kept: Endpoint[] | undefined;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          const level = sharedTopologyLevel(peerPlace, places.get(endpoint));
          if (level === undefined || !near.has(level)) kept ??= endpoints.slice(0, i);
          else kept?.push(endpoint);
        }
        return kept === undefined || kept.length === 0 ? endpoints : kept;
      },
    };
  },
});
