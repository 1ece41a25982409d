export { type SpanExport, type SpanExportOptions, startSpanExport } from "./span-export.ts";
export { startTracing, type Tracing, type TracingOptions } from "./start-tracing.ts";
export { type TraceHeaders, traceParentOf, traceParentText } from "./trace-parent.ts";
