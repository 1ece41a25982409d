import { type Context, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { type SpanExport, type SpanExportOptions, startSpanExport } from "./span-export.ts";
import { type TraceHeaders, traceParentOf, traceParentText } from "./trace-parent.ts";

/** Facts of a span. */
export type CallAttributes = Readonly<Record<string, string | number | boolean>>;

/** The span of one call to a server. */
export interface CallSpan {
  /** Headers that name this span to the server. */
  readonly headers: ReadonlyMap<string, string>;
  end(attributes: CallAttributes, problem?: string): void;
}

/** The span of one request that is served with calls, each a span under it. */
export interface CallerSpan {
  stage(name: string, attributes: CallAttributes): CallSpan;
  end(attributes: CallAttributes, problem?: string): void;
}

/** Spans of a server that answers requests by calling other servers. */
export interface CallTracing {
  /** Begins the span of a request, under the one that its headers name. */
  begin(name: string, headers: TraceHeaders, attributes: CallAttributes): CallerSpan;
  /** Sends what is left and stops. */
  shutdown(): Promise<void>;
}

/**
 * Exports spans of requests and their calls as the environment says. `scope` names the tracer. Missing values: undefined
 * when the environment asks for no exporter. Rejects with `EPP_TRACING` when the exporter cannot be made.
 */
export async function startCallTracing(
  options: SpanExportOptions & { readonly scope: string },
): Promise<CallTracing | undefined> {
  const exported = await startSpanExport(options);
  return exported === undefined ? undefined : new ExportedCalls(exported, options.scope);
}

class ExportedCalls implements CallTracing {
  readonly #exported: SpanExport;
  readonly #tracer: Tracer;

  constructor(exported: SpanExport, scope: string) {
    this.#exported = exported;
    this.#tracer = exported.tracer(scope);
  }

  begin(name: string, headers: TraceHeaders, attributes: CallAttributes): CallerSpan {
    const parent = traceParentOf(headers);
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
    return new RequestSpan(this.#tracer, span, trace.setSpan(parent, span));
  }

  shutdown(): Promise<void> {
    return this.#exported.shutdown();
  }
}

class RequestSpan implements CallerSpan {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;

  constructor(tracer: Tracer, span: Span, context: Context) {
    this.#tracer = tracer;
    this.#span = span;
    this.#context = context;
  }

  stage(name: string, attributes: CallAttributes): CallSpan {
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, this.#context);
    return {
      headers: new Map([["traceparent", traceParentText(span.spanContext())]]),
      end: (more, problem) => finish(span, more, problem),
    };
  }

  end(attributes: CallAttributes, problem?: string): void {
    finish(this.#span, attributes, problem);
  }
}

function finish(span: Span, attributes: CallAttributes, problem: string | undefined): void {
  span.setAttributes(attributes);
  if (problem !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: problem });
  span.end();
}
