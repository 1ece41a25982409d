import { type Context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { parseTraceParent, TraceState } from "@opentelemetry/core";
import type { Headers } from "@pointsman/core";

/** Members and bytes beyond these are not looked at. Source: W3C Trace Context, section 3.3. */
const maxTraceStateBytes = 512;

/**
 * The span that a client or proxy names in `traceparent`, as a context; the root where there is none, it is malformed, or
 * there are several. Source: W3C Trace Context.
 */
export function parentOf(headers: Headers): Context {
  const parents = valuesOf(headers, "traceparent");
  const [only] = parents;
  const span = only === undefined || parents.length > 1 ? null : parseTraceParent(only);
  if (span === null) return ROOT_CONTEXT;
  const state = valuesOf(headers, "tracestate").join(",");
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...span,
    isRemote: true,
    ...(state === "" || state.length > maxTraceStateBytes ? {} : { traceState: new TraceState(state) }),
  });
}

function valuesOf(headers: Headers, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.size; i++) {
    if (headers.names[i] === name) values.push(headers.values[i]!);
  }
  return values;
}
