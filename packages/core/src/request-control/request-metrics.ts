import { BoundedValues } from "../bounded-values.ts";
import { fairnessIdOf } from "../fairness-id.ts";
import { Headers } from "../headers.ts";
import type { Counter, Gauge, Histogram, MetricFamily, MetricsRegistry } from "../metrics.ts";
import type { Usage } from "../plugin/parser.ts";
import type { InferenceRequest } from "../request.ts";

const latencySeconds = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120, 180, 240,
  300, 360, 480, 600, 900, 1200, 1800, 2700, 3600,
];
const requestBytes = Array.from({ length: 25 }, (_, i) => 64 * 2 ** i);
const inputTokens = [
  1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576,
];
const outputTokens = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192];
const responseBytes = inputTokens.filter((bound) => bound <= 65_536);
const perTokenSeconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const streamedTokenSeconds = [
  0.0005, 0.00205, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 2,
];
const chunkGapSeconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2];
const requestWorkSeconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const responseWorkSeconds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

/** Series that one metric can have; a new combination beyond it is counted under `other`. */
const maxCombinations = 4000;

/** Metrics with the labels of one request. */
export interface BoundMetrics {
  readonly total: Counter;
  readonly running: Gauge;
  readonly sizeBytes: Histogram;
  readonly responseBytes: Histogram;
  readonly durationSeconds: Histogram;
  readonly inputTokens: Histogram;
  readonly outputTokens: Histogram;
  readonly cachedTokens: Histogram;
  /** Of the whole duration, by output token. */
  readonly perTokenSeconds: Histogram;
  readonly streamedTokenSeconds: Histogram;
  readonly chunkGapSeconds: Histogram;
}

/** What is bound for one set of labels. */
interface Series {
  readonly labels: readonly string[];
  readonly bound: BoundMetrics;
  /** Time to the first byte of whole answers, and of streams. */
  readonly ttftSeconds: Histogram;
  readonly streamTtftSeconds: Histogram;
}

/** How an answer went, once it is complete. */
export interface CompleteAnswer {
  readonly durationMs: number;
  /** Milliseconds from the request's first message to the first byte of the answer's body; `undefined` without one. */
  readonly firstByteMs: number | undefined;
  readonly bodyBytes: number;
  readonly streaming: boolean;
  readonly usage: Usage | undefined;
}

/**
 * Request metrics, with children bound per set of labels. Source: spec metrics section 4.
 *
 * Of model names 1,000 are told apart and of fairness ids 1,000; further ones are `other`. Names for which `isPinned`
 * holds stand for themselves and do not count.
 */
export class RequestMetrics {
  readonly #models = new BoundedValues(1000);
  readonly #fairnessIds = new BoundedValues(1000);
  readonly #combinations = new Set<string>();
  readonly #series = new Map<string, Series>();
  /**
   * Series whose labels are what the request itself says, by model, target model, fairness id and priority: found
   * without making a string. No more than there are combinations and pinned models.
   */
  readonly #plain = new Map<string, Map<string, Map<string, Map<number, Series>>>>();
  readonly #families: { readonly [K in keyof BoundMetrics]: MetricFamily<BoundMetrics[K]> };
  readonly #errors: MetricFamily<Counter>;
  readonly #ttft: MetricFamily<Histogram>;
  readonly #isPinned: (model: string) => boolean;
  /** From the first message of a request to its way on, or its refusal. */
  readonly requestWorkSeconds: Histogram;
  /** Of answers: of a stream the time at work on it, of others the time from headers to end. */
  readonly responseWorkSeconds: Histogram;
  /** Answers of which nothing more was kept since too much was kept of all. */
  readonly answersLetGo: Counter;

  constructor(metrics: MetricsRegistry, isPinned: (model: string) => boolean = () => false) {
    this.#isPinned = isPinned;
    const labelNames = ["model_name", "target_model_name", "fairness_id", "priority"];
    this.#families = {
      total: metrics.counter({ name: "llm_d_epp_request_total", help: "Requests that were routed.", labelNames }),
      running: metrics.gauge({
        name: "llm_d_epp_request_running",
        help: "Requests routed and not finished.",
        labelNames,
      }),
      sizeBytes: metrics.histogram({
        name: "llm_d_epp_request_size_bytes",
        help: "Size of request bodies as sent on.",
        labelNames,
        buckets: requestBytes,
      }),
      durationSeconds: metrics.histogram({
        name: "llm_d_epp_request_duration_seconds",
        help: "Time from the request's first message to the end of its answer.",
        labelNames,
        buckets: latencySeconds,
      }),
      inputTokens: metrics.histogram({
        name: "llm_d_epp_request_input_tokens",
        help: "Prompt tokens as reported by the model server.",
        labelNames,
        buckets: inputTokens,
      }),
      outputTokens: metrics.histogram({
        name: "llm_d_epp_request_output_tokens",
        help: "Completion tokens as reported by the model server.",
        labelNames,
        buckets: outputTokens,
      }),
      cachedTokens: metrics.histogram({
        name: "llm_d_epp_request_cached_tokens",
        help: "Prompt tokens that the model server found in its prefix cache.",
        labelNames,
        buckets: inputTokens,
      }),
      responseBytes: metrics.histogram({
        name: "llm_d_epp_response_size_bytes",
        help: "Size of the bodies of complete answers.",
        labelNames,
        buckets: responseBytes,
      }),
      perTokenSeconds: metrics.histogram({
        name: "llm_d_epp_request_ntpot_seconds",
        help: "Duration of a request divided by its output tokens.",
        labelNames,
        buckets: perTokenSeconds,
      }),
      streamedTokenSeconds: metrics.histogram({
        name: "llm_d_epp_request_streaming_tpot_seconds",
        help: "Time for each output token of a stream after the first.",
        labelNames,
        buckets: streamedTokenSeconds,
      }),
      chunkGapSeconds: metrics.histogram({
        name: "llm_d_epp_request_streaming_itl_seconds",
        help: "Time between pieces of a stream's body.",
        labelNames,
        buckets: chunkGapSeconds,
      }),
    };
    this.requestWorkSeconds = metrics
      .histogram({
        name: "llm_d_epp_request_processing_duration_seconds",
        help: "Time from a request's first message until it is sent on or refused, waiting included.",
        buckets: requestWorkSeconds,
      })
      .labels();
    this.responseWorkSeconds = metrics
      .histogram({
        name: "llm_d_epp_response_processing_duration_seconds",
        help: "Time at work on an answer: of a stream, added up over its pieces; else from its headers to its end.",
        buckets: responseWorkSeconds,
      })
      .labels();
    this.answersLetGo = metrics
      .counter({
        name: "llm_d_epp_response_let_go_total",
        help: "Answers that passed on as they came, their usage not read: too much was kept of answers.",
      })
      .labels();
    this.#errors = metrics.counter({
      name: "llm_d_epp_request_error_total",
      help: "Requests that ended in an error, by code.",
      labelNames: [...labelNames, "error_code"],
    });
    this.#ttft = metrics.histogram({
      name: "llm_d_epp_request_ttft_seconds",
      help: "Time from the request's first message to the first byte of the answer's body.",
      labelNames: [...labelNames, "streaming"],
      buckets: latencySeconds.filter((bound) => bound <= 120),
    });
  }

  /** Metrics of one request's labels; the object stays the same for equal labels. */
  of(request: InferenceRequest | undefined): BoundMetrics {
    return this.#seriesOf(request).bound;
  }

  /** Counts an error of a request; of one that was not parsed, what its headers tell is known. */
  error(request: InferenceRequest | Headers | undefined, code: string): void {
    const labels =
      request instanceof Headers
        ? ["", "", this.#fairnessIds.bound(fairnessIdOf(request)), "0"]
        : this.#labels(request);
    this.#errors.labels(...labels, code).inc();
  }

  firstByte(request: InferenceRequest | undefined, streaming: boolean, seconds: number): void {
    const series = this.#seriesOf(request);
    (streaming ? series.streamTtftSeconds : series.ttftSeconds).observe(seconds);
  }

  /** Records what is known of an answer at its end. */
  complete(request: InferenceRequest | undefined, answer: CompleteAnswer): void {
    const { durationMs, firstByteMs, bodyBytes, streaming, usage } = answer;
    const bound = this.of(request);
    bound.responseBytes.observe(bodyBytes);
    const outputs = usage?.completionTokens ?? 0;
    if (durationMs > 0) {
      bound.durationSeconds.observe(durationMs / 1000);
      if (outputs > 0) bound.perTokenSeconds.observe(durationMs / 1000 / outputs);
      if (streaming && outputs > 1 && firstByteMs !== undefined) {
        bound.streamedTokenSeconds.observe(Math.max(0, durationMs - firstByteMs) / 1000 / (outputs - 1));
      }
    }
    if (usage === undefined) return;
    if ((usage.promptTokens ?? 0) > 0) bound.inputTokens.observe(usage.promptTokens!);
    if (outputs > 0) bound.outputTokens.observe(outputs);
    if (usage.cachedTokens !== undefined) bound.cachedTokens.observe(usage.cachedTokens);
  }

  #seriesOf(request: InferenceRequest | undefined): Series {
    if (request !== undefined) {
      const { incomingModel, targetModel, fairnessId, priority } = request;
      const known = this.#plain.get(incomingModel)?.get(targetModel)?.get(fairnessId)?.get(priority);
      if (known !== undefined) return known;
    }
    const labels = this.#labels(request);
    const id = labels.join("\u0000");
    let series = this.#series.get(id);
    if (series === undefined) {
      series = this.#bind(labels);
      this.#series.set(id, series);
    }
    if (request !== undefined) this.#remember(request, series);
    return series;
  }

  #bind(labels: readonly string[]): Series {
    const f = this.#families;
    return {
      labels,
      bound: {
        total: f.total.labels(...labels),
        running: f.running.labels(...labels),
        sizeBytes: f.sizeBytes.labels(...labels),
        durationSeconds: f.durationSeconds.labels(...labels),
        inputTokens: f.inputTokens.labels(...labels),
        outputTokens: f.outputTokens.labels(...labels),
        cachedTokens: f.cachedTokens.labels(...labels),
        responseBytes: f.responseBytes.labels(...labels),
        perTokenSeconds: f.perTokenSeconds.labels(...labels),
        streamedTokenSeconds: f.streamedTokenSeconds.labels(...labels),
        chunkGapSeconds: f.chunkGapSeconds.labels(...labels),
      },
      ttftSeconds: this.#ttft.labels(...labels, "false"),
      streamTtftSeconds: this.#ttft.labels(...labels, "true"),
    };
  }

  /** Where a label stands for several values, as `other` does, the request's own are not kept: clients choose them. */
  #remember({ incomingModel, targetModel, fairnessId, priority }: InferenceRequest, series: Series): void {
    const [incoming, target, fairness] = series.labels;
    if (incoming !== incomingModel || target !== targetModel || fairness !== fairnessId) return;
    const byTarget = child(this.#plain, incomingModel, () => new Map<string, Map<string, Map<number, Series>>>());
    const byFairness = child(byTarget, targetModel, () => new Map<string, Map<number, Series>>());
    child(byFairness, fairnessId, () => new Map<number, Series>()).set(priority, series);
  }

  #labels(request: InferenceRequest | undefined): string[] {
    if (request === undefined) return ["", "", "", "0"];
    const { incomingModel, targetModel, fairnessId } = request;
    const labels = [
      this.#model(incomingModel),
      this.#model(targetModel),
      this.#fairnessIds.bound(fairnessId),
      String(request.priority),
    ];
    const id = labels.join("\u0000");
    if (this.#combinations.has(id)) return labels;
    if (this.#combinations.size < maxCombinations) {
      this.#combinations.add(id);
      return labels;
    }
    const named = [incomingModel, targetModel].map((model) => (this.#isPinned(model) ? model : "other"));
    return [...named, "other", labels[3]!];
  }

  #model(name: string): string {
    return this.#isPinned(name) ? name : this.#models.bound(name);
  }
}

function child<V>(parent: Map<string, V>, key: string, make: () => V): V {
  let value = parent.get(key);
  if (value === undefined) {
    value = make();
    parent.set(key, value);
  }
  return value;
}
