import type { Logger } from "@pointsman/core";
import type { BoundedHttp } from "./bounded-http.ts";
import type { TrainingBuffer } from "./training-buffer.ts";

const path = "/add_training_data_bulk";
const maxAnswerBytes = 65_536;
const maxPauseMs = 60_000;
/** Statuses after which the same rows may be taken another time. */
const retryStatuses: ReadonlySet<number> = new Set([408, 425, 429]);

export interface TrainingClientOptions {
  readonly url: URL;
  readonly timeoutMs: number;
  /** Time between calls, and the first pause after a failure. */
  readonly intervalMs: number;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Sends what a training buffer holds, from time to time. Rows that could not be sent go back into the buffer. */
export class TrainingClient {
  readonly #http: BoundedHttp;
  readonly #buffer: TrainingBuffer;
  readonly #options: TrainingClientOptions;
  #sending = false;
  #failures = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  /** Rows that the training server took. */
  sentRows = 0;
  /** Rows that it refused for good. */
  refusedRows = 0;

  constructor(http: BoundedHttp, buffer: TrainingBuffer, options: TrainingClientOptions) {
    this.#http = http;
    this.#buffer = buffer;
    this.#options = options;
  }

  /** Sends all rows, unless there are none, a call is open, or the last one failed a moment ago. Never rejects. */
  async flush(): Promise<void> {
    const { url, timeoutMs, now } = this.#options;
    if (this.#sending || this.#buffer.size === 0 || now() < this.#notBeforeMs) return;
    this.#sending = true;
    const entries = this.#buffer.take();
    let status: number | undefined;
    let why: string;
    try {
      const answer = await this.#http.post(url, path, JSON.stringify({ entries }), { timeoutMs, maxAnswerBytes });
      status = answer.status;
      why = `status ${status}, not 202`;
    } catch (thrown: unknown) {
      why = thrown instanceof Error ? thrown.message : String(thrown);
    } finally {
      this.#sending = false;
    }
    if (status !== undefined && status >= 200 && status < 300) this.#succeeded(entries.length);
    else if (status !== undefined && status >= 400 && status < 500 && !retryStatuses.has(status)) {
      this.refusedRows += entries.length;
      this.#failed(`${why}: its ${entries.length} rows are dropped`);
    } else {
      for (const entry of entries) this.#buffer.add(entry);
      this.#failed(why);
    }
  }

  #succeeded(rows: number): void {
    this.sentRows += rows;
    if (this.#failures > 0) this.#options.logger.info({}, "the training server takes rows again");
    this.#failures = 0;
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
  }

  #failed(why: string): void {
    const { url, logger, intervalMs, now } = this.#options;
    // Once for each change of state: the dumped state counts.
    if (this.#failures === 0) {
      logger.warn({ url: `${url.origin}${path}`, error: why }, "the training server does not take rows; they are kept");
    }
    this.#failures++;
    this.#notBeforeMs = now() + Math.min(maxPauseMs, intervalMs * 2 ** Math.min(this.#failures, 16));
  }
}
