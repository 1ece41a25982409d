import { type Context, ROOT_CONTEXT, type SpanContext, TraceFlags, trace } from "@opentelemetry/api";
import { parseTraceParent, TraceState } from "@opentelemetry/core";
import type { Headers } from "@pointsman/core";

/** Members and bytes beyond these are not looked at. Source: W3C Trace Context, section 3.3. */
const maxTraceStateBytes = 512;

/** Every value of a header, name in lower case. */
export type TraceHeaders = (name: string) => readonly string[];

/**
 * The span that a client or proxy names in `traceparent`, as a context; the root where there is none, it is malformed, or
 * there are several. Source: W3C Trace Context.
 */
export function traceParentOf(valuesOf: TraceHeaders): Context {
  const parents = valuesOf("traceparent");
  const [only] = parents;
  const span = only === undefined || parents.length > 1 ? null : parseTraceParent(only);
  if (span === null) return ROOT_CONTEXT;
  const state = valuesOf("tracestate").join(",");
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...span,
    isRemote: true,
    ...(state === "" || state.length > maxTraceStateBytes ? {} : { traceState: new TraceState(state) }),
  });
}

/** `traceParentOf` for headers of core. */
export function parentOf(headers: Headers): Context {
  return traceParentOf((name) => headers.values.filter((_, i) => headers.names[i] === name));
}

/** The value of `traceparent` that names a span. */
export function traceParentText({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${(traceFlags & TraceFlags.SAMPLED) === 0 ? "00" : "01"}`;
}
