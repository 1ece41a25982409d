export { multiclusterMetricsDataSource as default } from "./multicluster-metrics-data-source.ts";
