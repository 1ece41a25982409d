import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { MetricsQuery } from "@pointsman/core/prometheus";
import { type ExampleSourceParams, exampleSourceParams } from "./params.ts";

const maxBodyBytes = 1024 * 1024;

export const exampleSource: AnyPluginDefinition = definePlugin<ExampleSourceParams>({
  type: "example-source",
  kind: "source",
  stability: "beta",
  summary: "Polls the metrics page of an exporter beside each model server.",
  params: exampleSourceParams,
  create({ port, path }) {
    // Without a wanted name a scan only tells whether the bytes are a metrics page.
    const anyPage = new MetricsQuery([]);
    return {
      payload: "prometheus-text",
      maxBodyBytes,
      pollTarget: ({ metadata }) => ({ scheme: "http", host: metadata.address, port, path }),
      checkPayload: (body) => anyPage.scan(body).garbage,
    };
  },
});
