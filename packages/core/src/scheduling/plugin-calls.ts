import { EppBug, errorText } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Counter, Histogram, MetricFamily, MetricsRegistry } from "../metrics.ts";
import type { NamedPlugin } from "../plugin/roles.ts";

/** Where in a request's life a plugin is called; label values of the duration metric. */
export type ExtensionPoint =
  | "RequestParsing"
  | "ResponseParsing"
  | "RequestHeader"
  | "Screener"
  | "DataProducer"
  | "Admission"
  | "ProfilePicker"
  | "Filter"
  | "Scorer"
  | "Picker"
  | "ProcessProfilesResults"
  | "PreRequest"
  | "ResponseReceived"
  | "ResponseStreaming";

const durationBucketsSeconds = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];

/** Times plugin calls and reports the ones that throw. */
export class PluginCalls {
  readonly #durations: MetricFamily<Histogram>;
  readonly #failures: MetricFamily<Counter>;
  readonly #logger: Logger;
  readonly #bound = new Map<string, Map<NamedPlugin<unknown>, Histogram>>();
  readonly #reported = new Set<string>();

  constructor(metrics: MetricsRegistry, logger: Logger) {
    this.#durations = metrics.histogram({
      name: "llm_d_epp_plugin_duration_seconds",
      help: "Time spent in one call of a plugin.",
      labelNames: ["extension_point", "plugin_type", "plugin_name"],
      buckets: durationBucketsSeconds,
    });
    this.#failures = metrics.counter({
      name: "llm_d_epp_plugin_failures_total",
      help: "Calls of a plugin that threw, timed out or returned what its contract forbids.",
      labelNames: ["extension_point", "plugin_type", "plugin_name"],
    });
    this.#logger = logger;
  }

  /** Notes how long a call took. */
  observe(point: ExtensionPoint, plugin: NamedPlugin<unknown>, durationMs: number): void {
    let byPlugin = this.#bound.get(point);
    if (byPlugin === undefined) {
      byPlugin = new Map();
      this.#bound.set(point, byPlugin);
    }
    let histogram = byPlugin.get(plugin);
    if (histogram === undefined) {
      histogram = this.#durations.labels(point, plugin.type, plugin.name);
      byPlugin.set(plugin, histogram);
    }
    histogram.observe(durationMs / 1000);
  }

  /**
   * Counts a broken call. The first of a kind is logged as an error with its stack, repeats at debug: a plugin that
   * breaks on every request must not fill the log.
   */
  failed(point: ExtensionPoint, plugin: NamedPlugin<unknown>, what: string, cause?: unknown): EppBug {
    const bug = new EppBug(`plugin "${plugin.name}" (${plugin.type}) ${what}`, { cause });
    this.#failures.labels(point, plugin.type, plugin.name).inc();
    const kind = `${point}/${plugin.name}/${what}`;
    const fields = {
      plugin: plugin.name,
      pluginType: plugin.type,
      extensionPoint: point,
      problem: what,
      ...(cause === undefined
        ? {}
        : { cause: errorText(cause), stack: cause instanceof Error ? cause.stack : undefined }),
    };
    if (this.#reported.has(kind)) this.#logger.debug(fields, "plugin call failed");
    else {
      if (this.#reported.size < 1000) this.#reported.add(kind);
      this.#logger.error(fields, "plugin call failed; repeats of this are logged at debug level");
    }
    return bug;
  }
}
