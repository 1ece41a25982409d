import type { MetadataObject, PluginHost } from "@pointsman/core";
import { BoundedHttp } from "./bounded-http.ts";
import type { FeatureRow } from "./feature-row.ts";
import { PredictionBatcher } from "./prediction-batcher.ts";
import { type Prediction, PredictionClient } from "./prediction-client.ts";
import type { PredictorSettings } from "./predictor-settings.ts";
import { TrainingBuffer } from "./training-buffer.ts";
import { TrainingClient } from "./training-client.ts";

/** The picker waits no longer for a producer, so no answer after it is of use. */
const usefulMs = 400;

/** The latency predictor beside the picker: predicts rows, and learns from rows with what came of them. */
export class Predictor {
  readonly #host: PluginHost;
  readonly #http: BoundedHttp;
  readonly #client: PredictionClient;
  readonly #batcher: PredictionBatcher;
  readonly #buffer: TrainingBuffer;
  readonly #training: TrainingClient;
  #failures = 0;
  #failing = false;

  constructor(settings: PredictorSettings, host: PluginHost) {
    this.#host = host;
    const now = (): number => host.clock.now();
    const startTimer = host.timers.after.bind(host.timers);
    this.#http = new BoundedHttp(settings.maxConcurrentDispatches + 1, startTimer);
    const timeoutMs = Math.min(settings.httpTimeoutMs, usefulMs);
    this.#client = new PredictionClient(this.#http, {
      ...{ urls: settings.predictionUrls, timeoutMs, now },
      random: () => host.random(),
    });
    this.#batcher = new PredictionBatcher({
      send: (rows) => this.#client.predict(rows),
      ...{ startTimer, now, timeoutMs },
      windowMs: settings.coalesceWindowMs,
      windowRows: settings.maxCoalescedRows === 0 ? settings.maxBulkSize : settings.maxCoalescedRows,
      maxRows: settings.maxBulkSize,
      maxCalls: settings.maxConcurrentDispatches,
    });
    this.#buffer = new TrainingBuffer(settings.maxSampleSize, () => host.random());
    this.#training = new TrainingClient(this.#http, this.#buffer, {
      ...{ url: settings.trainingUrl, timeoutMs: settings.httpTimeoutMs, intervalMs: settings.flushIntervalMs, now },
      logger: host.logger,
    });
    host.timers.every(settings.flushIntervalMs, () => void this.#training.flush());
  }

  /** False while asking would only cost time. */
  get available(): boolean {
    return this.#client.available;
  }

  /** Predicts all rows; `undefined` when that fails. Never rejects. */
  async predict(rows: readonly FeatureRow[]): Promise<readonly Prediction[] | undefined> {
    try {
      const predictions = await this.#batcher.predict(rows);
      if (this.#failing) this.#host.logger.info({}, "the latency predictor answers again");
      this.#failing = false;
      return predictions;
    } catch (thrown: unknown) {
      this.#failures++;
      if (!this.#failing) {
        const error = thrown instanceof Error ? thrown.message : String(thrown);
        this.#host.logger.warn({ error }, "the latency predictor fails; requests go without predictions");
      }
      this.#failing = true;
      return undefined;
    }
  }

  /** Keeps a row for training; a time of 0 is not learned. */
  learn(row: FeatureRow, ttftMs: number, tpotMs: number): void {
    const timestamp = new Date(this.#host.clock.wallTime()).toISOString();
    this.#buffer.add({ ...row, actual_ttft_ms: ttftMs, actual_tpot_ms: tpotMs, timestamp });
  }

  /** Counts for the dumped state. */
  get state(): MetadataObject {
    return {
      failedPredictions: this.#failures,
      waitingRows: this.#batcher.waitingRows,
      trainingRows: {
        kept: this.#buffer.size,
        displaced: this.#buffer.displaced,
        sent: this.#training.sentRows,
        refused: this.#training.refusedRows,
      },
    };
  }

  close(): Promise<void> {
    this.#batcher.close();
    return this.#http.close();
  }
}
