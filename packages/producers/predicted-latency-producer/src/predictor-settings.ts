/** Where the predictor is and how it is talked to, from the environment of the process. */
export interface PredictorSettings {
  readonly trainingUrl: URL;
  /** At least one. */
  readonly predictionUrls: readonly URL[];
  /** Rows kept for training, and sent in one call. */
  readonly maxSampleSize: number;
  readonly flushIntervalMs: number;
  readonly httpTimeoutMs: number;
  /** Rows in one prediction call. */
  readonly maxBulkSize: number;
  /** Time in which requests join one call; 0 is none. */
  readonly coalesceWindowMs: number;
  /** Rows that end the window early; 0 is `maxBulkSize`. */
  readonly maxCoalescedRows: number;
  /** Prediction calls at the same time. */
  readonly maxConcurrentDispatches: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const maxUrls = 64;

/**
 * Reads the settings, with defaults for what is absent or empty.
 *
 * Throws with all problems, each with its variable, value and range. Source: spec scheduling-plugins F11.
 */
export function predictorSettings(environment: Environment): PredictorSettings {
  const problems: string[] = [];
  const textOf = (name: string): string | undefined => environment[name]?.trim() || undefined;

  const number = (name: string, fallback: number, min: number, max: number): number => {
    const text = textOf(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (/^\d+(\.\d+)?$/.test(text) && value >= min && value <= max) return value;
    problems.push(`${name} must be a number from ${min} to ${max}, not ${JSON.stringify(text.slice(0, 100))}`);
    return fallback;
  };
  const count = (name: string, fallback: number, min: number, max: number): number => {
    const value = number(name, fallback, min, max);
    if (Number.isInteger(value)) return value;
    problems.push(`${name} must be a whole number, not ${value}`);
    return fallback;
  };
  const urls = (name: string, fallback: string): readonly URL[] => {
    const texts = (textOf(name) ?? fallback).split(",").flatMap((text) => text.trim() || []);
    if (texts.length === 0) problems.push(`${name} names no URL`);
    if (texts.length > maxUrls) problems.push(`${name} names ${texts.length} URLs; at most ${maxUrls} are used`);
    return texts.slice(0, maxUrls).flatMap((text) => {
      const url = URL.parse(text);
      const plain = url !== null && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
      if (plain && (url.protocol === "http:" || url.protocol === "https:")) return [url];
      problems.push(`${name} must hold http or https URLs of host, port and path only, and holds another one`);
      return [];
    });
  };

  const trainingUrls = urls("TRAINING_SERVER_URL", "http://localhost:8000");
  if (trainingUrls.length > 1) problems.push(`TRAINING_SERVER_URL must hold one URL, not ${trainingUrls.length}`);
  const settings = {
    trainingUrl: trainingUrls[0],
    predictionUrls: urls("PREDICTION_SERVER_URL", "http://localhost:8001"),
    maxSampleSize: count("LATENCY_MAX_SAMPLE_SIZE", 1000, 1, 100_000),
    flushIntervalMs: number("LATENCY_FLUSH_INTERVAL_SEC", 1, 0.01, 86_400) * 1000,
    httpTimeoutMs: number("LATENCY_HTTP_TIMEOUT_SEC", 10, 0.01, 600) * 1000,
    maxBulkSize: count("LATENCY_MAX_BULK_SIZE", 100, 1, 100),
    coalesceWindowMs: number("LATENCY_COALESCE_WINDOW_MS", 1, 0, 1000),
    maxCoalescedRows: count("LATENCY_MAX_COALESCED_ROWS", 0, 0, 100_000),
    maxConcurrentDispatches: count("LATENCY_MAX_CONCURRENT_DISPATCHES", 36, 1, 1024),
  };
  const { trainingUrl } = settings;
  if (problems.length > 0 || trainingUrl === undefined) {
    throw new Error(`environment of the latency predictor: ${problems.join("; ")}`);
  }
  return { ...settings, trainingUrl };
}
