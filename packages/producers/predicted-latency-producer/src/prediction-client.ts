import type { BoundedHttp } from "./bounded-http.ts";
import type { FeatureRow } from "./feature-row.ts";

/** Milliseconds predicted for one row; NaN where the predictor gives no usable number. */
export interface Prediction {
  readonly ttftMs: number;
  readonly tpotMs: number;
}

const path = "/predict/bulk/strict";
/** A server that failed gets no calls for this long, while another one works. */
const backOffMs = 1000;
const answerBytesPerRow = 4096;
const answerBytesAtLeast = 65_536;

interface Server {
  readonly url: URL;
  failedAtMs: number;
}

/** Asks the prediction servers, each call one that is chosen by chance. */
export class PredictionClient {
  readonly #http: BoundedHttp;
  readonly #servers: readonly Server[];
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #random: () => number;

  constructor(
    http: BoundedHttp,
    options: {
      readonly urls: readonly URL[];
      readonly timeoutMs: number;
      readonly now: () => number;
      readonly random: () => number;
    },
  ) {
    this.#http = http;
    this.#servers = options.urls.map((url) => ({ url, failedAtMs: Number.NEGATIVE_INFINITY }));
    this.#timeoutMs = options.timeoutMs;
    this.#now = options.now;
    this.#random = options.random;
  }

  /** False while all servers have failed a moment ago: asking them would only cost time. */
  get available(): boolean {
    return this.#servers.some((server) => this.#works(server));
  }

  /** Predicts all rows in one call. Rejects unless the answer has a prediction for each. */
  async predict(rows: readonly FeatureRow[]): Promise<readonly Prediction[]> {
    const working = this.#servers.filter((server) => this.#works(server));
    const server = working[Math.floor(this.#random() * working.length)];
    if (server === undefined) throw new Error("every prediction server has failed a moment ago");
    try {
      const { status, body } = await this.#http.post(server.url, path, JSON.stringify({ requests: rows }), {
        timeoutMs: this.#timeoutMs,
        maxAnswerBytes: Math.max(answerBytesAtLeast, rows.length * answerBytesPerRow),
      });
      if (status !== 200) throw new Error(`status ${status}, not 200`);
      return predictionsOf(body, rows.length);
    } catch (thrown: unknown) {
      server.failedAtMs = this.#now();
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new Error(`POST ${server.url.origin}${path}: ${why}`, { cause: thrown });
    }
  }

  #works({ failedAtMs }: Server): boolean {
    return this.#now() - failedAtMs >= backOffMs;
  }
}

/** The predictions of an answer. Throws unless there are exactly `count`. */
export function predictionsOf(body: Uint8Array, count: number): readonly Prediction[] {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder().decode(body));
  } catch (thrown: unknown) {
    throw new Error("the answer is no JSON", { cause: thrown });
  }
  const predictions = fieldOf(answer, "predictions");
  if (!Array.isArray(predictions)) throw new Error("the answer has no list of predictions");
  if (predictions.length !== count) {
    throw new Error(`the answer has ${predictions.length} predictions for ${count} rows`);
  }
  return predictions.map((one: unknown) => ({
    ttftMs: milliseconds(fieldOf(one, "ttft_ms")),
    tpotMs: milliseconds(fieldOf(one, "tpot_ms")),
  }));
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** A day and more is no prediction. */
const maxMilliseconds = 86_400_000;

function milliseconds(value: unknown): number {
  return typeof value === "number" && value >= 0 && value <= maxMilliseconds ? value : Number.NaN;
}
