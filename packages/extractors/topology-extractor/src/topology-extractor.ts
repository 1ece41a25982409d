import { type AnyPluginDefinition, definePlugin, type Endpoint, TOPOLOGY, type Topology } from "@pointsman/core";
import { type TopologyExtractorParams, topologyExtractorParams } from "./params.ts";
import { PodHostnames } from "./pod-hostnames.ts";

export const topologyExtractor: AnyPluginDefinition = definePlugin<TopologyExtractorParams>({
  type: "topology-extractor",
  kind: "extractor",
  stability: "alpha",
  summary: "Says where each endpoint runs: host, rack, zone and region, out of its labels.",
  params: topologyExtractorParams,
  produces: (_params, name) => [TOPOLOGY.from(name)],
  create(params, host) {
    const writer = host.endpointWriter(TOPOLOGY.from(host.name));
    const hostnames = new PodHostnames();
    /** By Pod: one for each of its ranks. */
    const endpoints = new Map<string, Set<Endpoint>>();
    const write = (endpoint: Endpoint): void => {
      writer.set(endpoint, topologyOf(endpoint, params, hostnames), host.clock.now());
    };
    return {
      endpointChanged({ type, endpoint }) {
        const { namespace, name } = endpoint.metadata;
        const pod = `${namespace}/${name}`;
        let ranks = endpoints.get(pod);
        if (type === "delete") {
          ranks?.delete(endpoint);
          if (ranks?.size === 0) endpoints.delete(pod);
          return;
        }
        if (ranks === undefined) {
          ranks = new Set();
          endpoints.set(pod, ranks);
        }
        ranks.add(endpoint);
        write(endpoint);
      },
      watchedResource: () => ({ group: "", version: "v1", kind: "Pod", plural: "pods" }),
      resourceChanged(event) {
        const changed = hostnames.take(event);
        if (changed === undefined) return;
        for (const endpoint of endpoints.get(`${changed.namespace}/${changed.name}`) ?? []) write(endpoint);
      },
      dumpState: () => ({ pods: endpoints.size, podsWithHostname: hostnames.size }),
    };
  },
});

/** `undefined` where nothing is known. */
function topologyOf(
  { metadata }: Endpoint,
  params: TopologyExtractorParams,
  hostnames: PodHostnames,
): Topology | undefined {
  const { labels, namespace, name } = metadata;
  const hostname = labels[params.hostname] || hostnames.of(namespace, name);
  const parts = { hostname, rack: labels[params.rack], zone: labels[params.zone], region: labels[params.region] };
  const known = Object.entries(parts).filter(([, value]) => value !== undefined && value !== "");
  return known.length === 0 ? undefined : Object.fromEntries(known);
}
