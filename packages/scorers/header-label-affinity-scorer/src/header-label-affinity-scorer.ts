import { type AnyPluginDefinition, definePlugin, type Endpoint } from "@pointsman/core";
import { type HeaderLabelAffinityParams, headerLabelAffinityParams } from "./params.ts";

/** Fills `out[i]`: 1 where the label `labelKey` of `endpoints[i]` equals `wanted`, else 0. O(n), no allocation. */
export function scoreLabel(endpoints: readonly Endpoint[], labelKey: string, wanted: string, out: Float64Array): void {
  for (let i = 0; i < endpoints.length; i++) {
    const { labels } = endpoints[i]!.metadata;
    // Own properties only: a key such as "constructor" is a valid label.
    out[i] = Object.hasOwn(labels, labelKey) && labels[labelKey] === wanted ? 1 : 0;
  }
}

export const headerLabelAffinityScorer: AnyPluginDefinition = definePlugin<HeaderLabelAffinityParams>({
  type: "header-label-affinity-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = the endpoint's label equals the request's header, 0 = it does not.",
  params: headerLabelAffinityParams,
  create: ({ headerName, labelKey }) => ({
    score(request, endpoints, out) {
      const wanted = request.headers.get(headerName) ?? "";
      // An empty header asks for nothing, so an empty label is no match.
      if (wanted === "") out.fill(0);
      else scoreLabel(endpoints, labelKey, wanted, out);
    },
  }),
});
