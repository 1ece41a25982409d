export {
  type CallAttributes,
  type CallerSpan,
  type CallSpan,
  type CallTracing,
  startCallTracing,
} from "./call-tracing.ts";
export type { SpanExportOptions } from "./span-export.ts";
export { startTracing, type Tracing, type TracingOptions } from "./start-tracing.ts";
export type { TraceHeaders } from "./trace-parent.ts";
