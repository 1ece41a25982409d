import { type Context, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import type {
  Clock,
  DecisionTrace,
  ExchangeEnd,
  ExchangeObserver,
  ExchangeWatch,
  HeaderMutation,
  Headers,
  InferenceRequest,
} from "@pointsman/core";
import { type DecisionTracers, decisionSpans } from "./decision-spans.ts";
import { parentOf, traceParentText } from "./trace-parent.ts";

export interface ExchangeTracers extends DecisionTracers {
  readonly handlers: Tracer;
}

/** Makes a span of every exchange, under it those of its decision, and names it to the model server. */
export class ExchangeSpans implements ExchangeObserver {
  readonly #tracers: ExchangeTracers;
  readonly #clock: Clock;
  /** By the headers of its request. */
  readonly #open = new WeakMap<Headers, ExchangeSpan>();

  constructor(tracers: ExchangeTracers, clock: Clock) {
    this.#tracers = tracers;
    this.#clock = clock;
  }

  begin(headers: Headers): ExchangeWatch {
    const span = new ExchangeSpan(this.#tracers.handlers, headers, this.#clock);
    if (span.isRecording) this.#open.set(headers, span);
    return span;
  }

  decided(request: InferenceRequest, decision: DecisionTrace): void {
    const exchange = this.#open.get(request.headers);
    if (exchange !== undefined) decisionSpans(this.#tracers, exchange.context, request, decision, exchange.nowMs());
  }
}

class ExchangeSpan implements ExchangeWatch {
  readonly #clock: Clock;
  /** Epoch milliseconds of the monotonic clock's zero, so that times within the exchange fit together. */
  readonly #offsetMs: number;
  readonly #span: Span;
  readonly #hasForeignState: boolean;
  readonly context: Context;

  constructor(tracer: Tracer, headers: Headers, clock: Clock) {
    const parent = parentOf(headers);
    this.#clock = clock;
    this.#offsetMs = clock.wallTime() - clock.now();
    this.#hasForeignState = trace.getSpanContext(parent) === undefined && headers.has("tracestate");
    this.#span = tracer.startSpan("gateway.request", { kind: SpanKind.SERVER, startTime: this.nowMs() }, parent);
    this.context = trace.setSpan(parent, this.#span);
  }

  get isRecording(): boolean {
    return this.#span.isRecording();
  }

  nowMs(): number {
    return this.#clock.now() + this.#offsetMs;
  }

  /** The client's `tracestate` and `baggage` go on as they came, but for a state that belongs to no trace. */
  upstreamHeaders(): HeaderMutation {
    return {
      set: [["traceparent", traceParentText(this.#span.spanContext())]],
      remove: this.#hasForeignState ? ["tracestate"] : [],
    };
  }

  refused({ code, message }: { readonly code: string; readonly message: string }): void {
    this.#span.recordException({ name: code, message }, this.nowMs());
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
  }

  closed({ modelServerError }: ExchangeEnd): void {
    if (modelServerError) {
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: "the model server answered with an error" });
    }
    this.#span.end(this.nowMs());
  }
}
