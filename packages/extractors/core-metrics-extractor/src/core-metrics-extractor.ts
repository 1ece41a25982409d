import { type AnyPluginDefinition, definePlugin, type Endpoint } from "@pointsman/core";
import { EngineReader } from "./engine-reader.ts";
import { signalsOf } from "./engine-signals.ts";
import { type CoreMetricsExtractorParams, coreMetricsExtractorParams, defaultEngineName } from "./params.ts";

const legacyEngineLabel = "inference.networking.k8s.io/engine-type";
/** Unknown engine names that are told of; further ones read as the default engine without a word. */
const maxToldNames = 100;

export const coreMetricsExtractor: AnyPluginDefinition = definePlugin<CoreMetricsExtractorParams>({
  type: "core-metrics-extractor",
  kind: "extractor",
  stability: "beta",
  summary: "Reads queue, running requests, KV cache and LoRA adapters from the metrics pages of inference engines.",
  params: coreMetricsExtractorParams,
  produces: ({ engines }) => [...new Set(engines.flatMap((engine) => [...signalsOf(engine)]))],
  create({ engineLabelKey, defaultEngine, engines }, host) {
    const readers = new Map(
      engines.map((engine) => [engine.name, new EngineReader(engine, (key) => host.endpointWriter(key))]),
    );
    // The schema refuses a default engine that is not among the engines.
    const defaultReader = readers.get(defaultEngine)!;
    const readBefore = new WeakMap<Endpoint, EngineReader>();
    const toldNames = new Set<string>();

    const readerOf = (endpoint: Endpoint): EngineReader => {
      const { labels } = endpoint.metadata;
      const name = labels[engineLabelKey] || labels[legacyEngineLabel] || defaultEngineName;
      const reader = readers.get(name);
      if (reader !== undefined) return reader;
      if (name !== defaultEngineName && !toldNames.has(name) && toldNames.size < maxToldNames) {
        toldNames.add(name);
        host.logger.warn(
          { engine: name.slice(0, 100), endpoint: endpoint.id, known: [...readers.keys()], readAs: defaultEngine },
          "an endpoint's label names an engine that is not known; its page is read as the default engine's",
        );
      }
      return defaultReader;
    };

    return {
      payload: "prometheus-text",
      series: defaultReader.series,
      extract(body, endpoint, nowMs) {
        const reader = readerOf(endpoint);
        const before = readBefore.get(endpoint);
        if (before !== reader) {
          before?.forget(endpoint, reader, nowMs);
          readBefore.set(endpoint, reader);
        }
        return reader.read(body, endpoint, nowMs);
      },
    };
  },
});
