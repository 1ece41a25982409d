export { createLogger, type LoggerOptions, type LogLevel, levelOfVerbosity } from "./logger.ts";
export { createPrometheusMetrics, type PrometheusMetrics } from "./prometheus-metrics.ts";
