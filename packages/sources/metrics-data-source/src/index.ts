export { type HttpPages, httpSource } from "./http-source.ts";
export {
  type HttpSourceDefaults,
  type HttpSourceFields,
  type HttpSourceParams,
  httpSourceFields,
  intervalMsOf,
} from "./http-source-params.ts";
export { metricsDataSource as default } from "./metrics-data-source.ts";
export { metricsPageProblem } from "./metrics-page-check.ts";
