import type { EngineMetrics } from "./engine-metrics.ts";
import { fillerPage, garbagePage } from "./page-filler.ts";
import type { Part } from "./page-writer.ts";

export const metricsModes = ["normal", "stale", "garbage"] as const;
export type MetricsMode = (typeof metricsModes)[number];

/** The bytes of /metrics. Written again only when a value has changed. */
export class MetricsPage {
  readonly #metrics: EngineMetrics;
  readonly #parts: readonly Part[];
  readonly #seed: number;
  #mode: MetricsMode = "normal";
  #paddingBytes = 0;
  #before = "";
  #after = "";
  #page: Buffer | undefined;
  #pageVersion = -1;

  constructor(metrics: EngineMetrics, parts: readonly Part[], seed: number) {
    this.#metrics = metrics;
    this.#parts = parts;
    this.#seed = seed;
  }

  /** `stale` keeps the page as it is at the moment of the change. */
  setMode(mode: MetricsMode): void {
    if (mode === "stale" && this.#mode !== "stale") this.#page = this.#fresh();
    else if (mode === "normal" && this.#mode !== "normal") this.#page = undefined;
    this.#mode = mode;
  }

  /** Bytes of other series put around the engine's, half before and half after. Not applied to a stale page. */
  setPadding(bytes: number): void {
    if (bytes === this.#paddingBytes) return;
    this.#paddingBytes = bytes;
    this.#before = fillerPage(Math.ceil(bytes / 2), this.#seed, "http_request_duration");
    this.#after = fillerPage(Math.floor(bytes / 2), this.#seed, "http_response_duration");
    if (this.#mode !== "stale") this.#page = undefined;
  }

  bytes(): Buffer {
    if (this.#mode === "garbage") return garbagePage(this.#seed);
    if (this.#page === undefined || (this.#mode === "normal" && this.#pageVersion !== this.#metrics.version)) {
      this.#page = this.#fresh();
    }
    return this.#page;
  }

  #fresh(): Buffer {
    this.#pageVersion = this.#metrics.version;
    let text = this.#before;
    for (const part of this.#parts) text += part();
    return Buffer.from(text + this.#after);
  }
}
