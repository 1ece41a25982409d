import type { Gauge, Histogram, PluginHost } from "@pointsman/core";

const labelNames = ["plugin_name", "plugin_type"];
const ratioBuckets = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const byteBuckets = [0, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/** What a token stands for in the lengths reported. */
const bytesPerToken = 4;

/** Metrics of one producer instance. Source: spec metrics, `prefix_indexer_*`. */
export class PrefixMetrics {
  readonly #size: Gauge;
  readonly #hitRatio: Histogram;
  readonly #hitBytes: Histogram;

  constructor({ metrics, name, type }: PluginHost) {
    this.#size = metrics
      .gauge({ name: "llm_d_epp_prefix_indexer_size", help: "Blocks kept, over all endpoints.", labelNames })
      .labels(name, type);
    this.#hitRatio = metrics
      .histogram({
        name: "llm_d_epp_prefix_indexer_hit_ratio",
        help: "Share of a routed request's blocks that its endpoint should hold.",
        labelNames,
        buckets: ratioBuckets,
      })
      .labels(name, type);
    this.#hitBytes = metrics
      .histogram({
        name: "llm_d_epp_prefix_indexer_hit_bytes",
        help: "Bytes of a routed request's prompt that its endpoint should hold.",
        labelNames,
        buckets: byteBuckets,
      })
      .labels(name, type);
  }

  setSize(blocks: number): void {
    this.#size.set(blocks);
  }

  /** Notes what the chosen endpoint held of a request. A request without blocks has no ratio. */
  observeHit(matchedBlocks: number, totalBlocks: number, blockSizeTokens: number): void {
    this.#hitBytes.observe(matchedBlocks * blockSizeTokens * bytesPerToken);
    if (totalBlocks > 0) this.#hitRatio.observe(matchedBlocks / totalBlocks);
  }
}
