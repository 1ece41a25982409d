import { type Context, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import type { Logger } from "@pointsman/core";
import type { RequestTrace, SidecarTracing, SpanAttributes, StageSpan } from "@pointsman/pd-sidecar";
import { type SpanExport, startSpanExport, traceParentOf, traceParentText } from "@pointsman/tracing";

const service = "llm-d-disagg-sidecar";
const scope = "llm-d-router/pkg/sidecar/proxy";

/** What of a request its span tells. */
type TracedRequest = Parameters<SidecarTracing["begin"]>[0];

/**
 * Exports spans of requests and their stages as the environment says. Missing values: undefined when it asks for no
 * exporter. Rejects with `EPP_TRACING` when the exporter cannot be made.
 */
export async function startSidecarTracing(
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
  logger: Logger,
): Promise<SidecarTracing | undefined> {
  const exported = await startSpanExport({ environment, service, version, logger });
  return exported === undefined ? undefined : new SpanTracing(exported);
}

class SpanTracing implements SidecarTracing {
  readonly #exported: SpanExport;
  readonly #tracer: Tracer;

  constructor(exported: SpanExport) {
    this.#exported = exported;
    this.#tracer = exported.tracer(scope);
  }

  begin(request: TracedRequest): RequestTrace {
    const parent = traceParentOf((name) => request.values(name));
    const name = `llm_d.pd_proxy.${request.method} ${request.path}`;
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER }, parent);
    if (request.requestId !== undefined) span.setAttribute("llm_d.pd_proxy.request_id", request.requestId);
    return new RequestSpan(this.#tracer, span, trace.setSpan(parent, span));
  }

  shutdown(): Promise<void> {
    return this.#exported.shutdown();
  }
}

class RequestSpan implements RequestTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;

  constructor(tracer: Tracer, span: Span, context: Context) {
    this.#tracer = tracer;
    this.#span = span;
    this.#context = context;
  }

  stage(name: "prefill" | "decode" | "encode", attributes: SpanAttributes): StageSpan {
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, this.#context);
    return {
      headers: new Map([["traceparent", traceParentText(span.spanContext())]]),
      end: (more, problem) => finish(span, more, problem),
    };
  }

  end(attributes: SpanAttributes, problem?: string): void {
    finish(this.#span, attributes, problem);
  }
}

function finish(span: Span, attributes: SpanAttributes, problem: string | undefined): void {
  span.setAttributes(attributes);
  if (problem !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: problem });
  span.end();
}
