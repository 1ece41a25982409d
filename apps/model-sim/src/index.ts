export type { ControlPatch, ControlState, HangScope, KvTransferMode, RefuseScope } from "./control/control-state.ts";
export type { EngineState } from "./engine/engine.ts";
export { jsonLogger, type Logger, type LogLevel } from "./log.ts";
export type { EngineName } from "./metrics/metric-families.ts";
export type { MetricsMode } from "./metrics/metrics-page.ts";
export type { ServerRole } from "./openai/transfer-request.ts";
export { type ModelSimOptions, ModelSimOptionsError, type OptionProblem } from "./options.ts";
export { type ModelSim, type ModelSimStats, startModelSim } from "./start-model-sim.ts";
