export { coreMetricsExtractor as default } from "./core-metrics-extractor.ts";
