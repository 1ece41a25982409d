export { defaultOptions } from "./config/default-options.ts";
export { flagHelp } from "./config/parse-arguments.ts";
export { type LogLevelName, type ResolvedSidecar, resolveOptions } from "./config/resolve-options.ts";
export type { KvConnectorName, MoriioOptions, RankOptions, SidecarOptions } from "./config/sidecar-options.ts";
export { type Sidecar, type SidecarDependencies, startSidecar } from "./server/start-sidecar.ts";
export type { PoolMembers, PoolReference, PoolTargets } from "./targets/pool-targets.ts";
export type { RequestTrace, SidecarTracing, SpanAttributes, StageSpan } from "./tracing.ts";
export { makeTarget, parseTarget, type Target } from "./upstream/target.ts";
