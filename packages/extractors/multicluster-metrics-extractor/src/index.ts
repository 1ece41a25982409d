export { multiclusterMetricsExtractor as default } from "./multicluster-metrics-extractor.ts";
