import {
  type Counter,
  EppBug,
  type MetricsRegistry,
  type NamedPlugin,
  type PollingExtractor,
  type PollingSource,
} from "@pointsman/core";
import { NameLookup, type SystemLookup } from "./name-lookup.ts";
import { PageBuffers } from "./page-buffers.ts";
import { clientTls, type PageClientOptions } from "./page-client.ts";

/** A source with the extractors that read its pages. */
export interface PollBinding {
  readonly source: NamedPlugin<PollingSource>;
  readonly extractors: readonly NamedPlugin<PollingExtractor>[];
}

/** An extractor with what counts its errors. */
export interface CountedExtractor {
  readonly plugin: NamedPlugin<PollingExtractor>;
  readonly errors: Counter;
}

/** A binding made ready: defaults filled in, certificates parsed, counters bound. */
export interface PreparedBinding {
  readonly source: NamedPlugin<PollingSource>;
  readonly extractors: readonly CountedExtractor[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly client: PageClientOptions;
  readonly pollErrors: Counter;
}

const defaultTimeoutMs = 1000;

/** Makes bindings ready. Throws for extractors bound to pages of another kind and for certificates that cannot be used. */
export function prepareBindings(
  bindings: readonly PollBinding[],
  options: {
    readonly intervalMs: number;
    readonly askForGzip: boolean;
    readonly metrics: MetricsRegistry;
    readonly lookup: SystemLookup;
  },
): readonly PreparedBinding[] {
  const pollErrors = options.metrics.counter({
    name: "llm_d_epp_datalayer_poll_errors_total",
    help: "Polls of model servers that gave no usable page.",
    labelNames: ["source_type"],
  });
  const extractErrors = options.metrics.counter({
    name: "llm_d_epp_datalayer_extract_errors_total",
    help: "Pages of model servers from which an extractor could not read all it should.",
    labelNames: ["source_type", "extractor_type"],
  });
  const buffers = new PageBuffers();
  const names = new NameLookup(options.lookup);
  return bindings.map(({ source, extractors }) => {
    const { intervalMs = options.intervalMs, timeoutMs = defaultTimeoutMs, maxBodyBytes, tls } = source.instance;
    for (const extractor of extractors) {
      if (extractor.instance.payload !== source.instance.payload) {
        throw new EppBug(
          `extractor "${extractor.name}" reads "${extractor.instance.payload}" pages, ` +
            `source "${source.name}" gives "${source.instance.payload}" pages`,
        );
      }
    }
    return {
      source,
      extractors: extractors.map((plugin) => ({ plugin, errors: extractErrors.labels(source.type, plugin.type) })),
      intervalMs,
      timeoutMs,
      client: {
        maxBodyBytes,
        askForGzip: options.askForGzip,
        tls: tls === undefined ? undefined : clientTls(tls),
        buffers,
        names,
      },
      pollErrors: pollErrors.labels(source.type),
    };
  });
}
