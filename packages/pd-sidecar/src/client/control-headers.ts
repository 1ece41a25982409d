/** Headers between the endpoint picker and the sidecar. Source: spec disaggregation, section 1. */
export const prefillHeader = "x-prefiller-host-port";
export const encoderHeader = "x-encoder-hosts-ports";
export const kvSourceHeader = "x-kv-cache-source-host-port";
export const dataParallelTargetHeader = "x-data-parallel-host-port";
export const dataParallelRankHeader = "x-data-parallel-rank";
export const requestIdHeader = "x-request-id";
/** Says on the reply which way a request took. */
export const wayHeader = "x-pd-way";

/** Not for model servers. */
export const strippedHeaders: ReadonlySet<string> = new Set([prefillHeader, encoderHeader, kvSourceHeader]);
