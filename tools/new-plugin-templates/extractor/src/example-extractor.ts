import { type AnyPluginDefinition, customMetric, definePlugin } from "@pointsman/core";
import { MetricsQuery, reduceSamples } from "@pointsman/core/prometheus";
import { type ExampleExtractorParams, exampleExtractorParams } from "./params.ts";

export const exampleExtractor: AnyPluginDefinition = definePlugin<ExampleExtractorParams>({
  type: "example-extractor",
  kind: "extractor",
  stability: "beta",
  summary: "Reads one series of the metrics page into an endpoint attribute.",
  params: exampleExtractorParams,
  produces: ({ attributeKey }, name) => [customMetric(attributeKey, name)],
  create({ series, attributeKey }, host) {
    const writer = host.endpointWriter(customMetric(attributeKey, host.name));
    const query = new MetricsQuery([series]);
    return {
      payload: "prometheus-text",
      series: [series],
      extract(body, endpoint, nowMs) {
        const page = query.scan(body);
        const value = reduceSamples(page.family(series)?.samples ?? [], "max");
        // Without a value the attribute becomes unknown: what an earlier page said holds no longer.
        writer.set(endpoint, value, nowMs);
        return value === undefined ? (page.garbage ?? `the page has no value of ${series}`) : undefined;
      },
    };
  },
});
