export { configJsonSchema } from "./config-json-schema.ts";
export { type ConfigProblem, formatProblem } from "./config-problem.ts";
export {
  type EffectiveConfig,
  type EffectivePlugin,
  type EffectiveProfile,
  type PluginRef,
  printEffective,
} from "./effective-config.ts";
export { type ConfigInput, type LoadOptions, type LoadOutcome, loadConfig } from "./load-config.ts";
export type { GraphProfile, GraphSource, PluginGraph } from "./plugin-graph.ts";
export type { PluginEnvironment } from "./plugin-loader.ts";
export type { PluginResolver, ResolveFailure } from "./plugin-resolver.ts";
export {
  type ProblemCode,
  type ProblemExplanation,
  type ProblemSeverity,
  problemCatalog,
  renderProblemCatalog,
} from "./problem-catalog.ts";
