import type { StartTimer } from "./bounded-http.ts";
import type { FeatureRow } from "./feature-row.ts";
import type { Prediction } from "./prediction-client.ts";

export interface PredictionBatcherOptions {
  /** Sends one call of at most `maxRows` rows. */
  readonly send: (rows: readonly FeatureRow[]) => Promise<readonly Prediction[]>;
  readonly startTimer: StartTimer;
  readonly now: () => number;
  /** Time in which requests join one call; 0 is none. */
  readonly windowMs: number;
  /** Rows that end the window early. */
  readonly windowRows: number;
  readonly maxRows: number;
  readonly maxCalls: number;
  /** Rows that waited longer are not sent. */
  readonly timeoutMs: number;
}

/** One request's rows. */
interface Asked {
  readonly predictions: Prediction[];
  readonly atMs: number;
  missing: number;
  failed: boolean;
  resolve(predictions: readonly Prediction[]): void;
  reject(error: Error): void;
}

interface AskedRow {
  readonly row: FeatureRow;
  readonly asked: Asked;
  readonly index: number;
}

/** Rows that wait at most: beyond, requests go without a prediction. */
const maxWaitingRows = 100_000;

/**
 * Joins the rows of requests that come together into calls of a limited size, and splits rows of one request over
 * several calls where they exceed it.
 */
export class PredictionBatcher {
  readonly #options: PredictionBatcherOptions;
  /** Rows in the order they came; those before `#next` are sent. */
  #rows: AskedRow[] = [];
  #next = 0;
  #window: { stop(): void } | undefined;
  /** Rows that may be sent now: their window has ended. */
  #due = 0;
  #calls = 0;

  constructor(options: PredictionBatcherOptions) {
    this.#options = options;
  }

  /** Rows that have not been sent. */
  get waitingRows(): number {
    return this.#rows.length - this.#next;
  }

  /** Predicts all rows, `result[i]` for `rows[i]`. Rejects if any call with one of them fails, or none was free in time. */
  predict(rows: readonly FeatureRow[]): Promise<readonly Prediction[]> {
    if (rows.length === 0) return Promise.resolve([]);
    if (this.waitingRows + rows.length > maxWaitingRows) {
      return Promise.reject(new Error(`${this.waitingRows} rows wait for the predictor`));
    }
    return new Promise((resolve, reject) => {
      const asked: Asked = {
        predictions: new Array(rows.length),
        atMs: this.#options.now(),
        missing: rows.length,
        failed: false,
        resolve,
        reject,
      };
      rows.forEach((row, index) => {
        this.#rows.push({ row, asked, index });
      });
      this.#schedule();
    });
  }

  /** Rejects everything that waits. */
  close(): void {
    this.#window?.stop();
    for (const { asked } of this.#rows.slice(this.#next)) fail(asked, new Error("the predictor is closed"));
    this.#rows = [];
    this.#next = 0;
    this.#due = 0;
  }

  #schedule(): void {
    const { windowMs, windowRows, startTimer } = this.#options;
    if (windowMs <= 0 || this.waitingRows - this.#due >= windowRows) this.#endWindow();
    else this.#window ??= startTimer(windowMs, () => this.#endWindow());
  }

  #endWindow(): void {
    this.#window?.stop();
    this.#window = undefined;
    this.#due = this.waitingRows;
    this.#sendDue();
  }

  #sendDue(): void {
    const { maxCalls, maxRows, now, timeoutMs } = this.#options;
    while (this.#due > 0 && this.#calls < maxCalls) {
      const batch: AskedRow[] = [];
      while (this.#due > 0 && batch.length < maxRows) {
        const next = this.#rows[this.#next++]!;
        this.#due--;
        if (next.asked.failed) continue;
        if (now() - next.asked.atMs >= timeoutMs) fail(next.asked, new Error(`not sent within ${timeoutMs} ms`));
        else batch.push(next);
      }
      if (batch.length > 0) this.#send(batch);
    }
    if (this.#next === this.#rows.length) {
      this.#rows = [];
      this.#next = 0;
    } else if (this.#next > 1024 && this.#next * 2 > this.#rows.length) {
      this.#rows = this.#rows.slice(this.#next);
      this.#next = 0;
    }
  }

  #send(batch: readonly AskedRow[]): void {
    this.#calls++;
    const done = (): void => {
      this.#calls--;
      this.#sendDue();
    };
    this.#options
      .send(batch.map(({ row }) => row))
      .then(
        (predictions) => {
          batch.forEach(({ asked, index }, i) => {
            asked.predictions[index] = predictions[i]!;
            asked.missing--;
            if (asked.missing === 0) asked.resolve(asked.predictions);
          });
        },
        (thrown: unknown) => {
          const error = thrown instanceof Error ? thrown : new Error(String(thrown));
          for (const { asked } of batch) fail(asked, error);
        },
      )
      .finally(done);
  }
}

function fail(asked: Asked, error: Error): void {
  asked.failed = true;
  asked.reject(error);
}
