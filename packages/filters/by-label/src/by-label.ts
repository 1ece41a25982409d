import { type AnyPluginDefinition, definePlugin, type Endpoint } from "@pointsman/core";
import { type ByLabelParams, byLabelParams } from "./params.ts";

export const byLabel: AnyPluginDefinition = definePlugin<ByLabelParams>({
  type: "by-label",
  kind: "filter",
  stability: "beta",
  summary: "Keeps endpoints whose label has one of the listed values; deprecated, use label-selector-filter.",
  params: byLabelParams,
  create({ label, validValues, allowsNoLabel }, host) {
    host.logger.warn(
      { label },
      "plugin type by-label is deprecated: use label-selector-filter, or decode-filter, prefill-filter or encode-filter for roles",
    );
    const valid = new Set(validValues);
    const passes = ({ metadata: { labels } }: Endpoint): boolean => {
      // Own properties only: a key such as "constructor" is a valid label.
      if (!Object.hasOwn(labels, label)) return allowsNoLabel;
      const value = labels[label];
      return value !== undefined && valid.has(value);
    };
    return {
      filter(_request, endpoints) {
        let kept: Endpoint[] | undefined;
        for (let i = 0; i < endpoints.length; i++) {
          const endpoint = endpoints[i]!;
          if (!passes(endpoint)) kept ??= endpoints.slice(0, i);
          else kept?.push(endpoint);
        }
        return kept ?? endpoints;
      },
    };
  },
});
