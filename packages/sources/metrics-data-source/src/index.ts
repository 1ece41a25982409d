export { metricsDataSource as default } from "./metrics-data-source.ts";
