export { defaultEngineModel, type EngineModel } from "./engine/engine-model.ts";
export type { EngineTrouble } from "./engine/simulated-engine.ts";
export { type BuiltinPolicyName, builtinPolicyNames } from "./policies/builtin-policies.ts";
export type { ReplayedPicker } from "./policies/picker-policy.ts";
export { SeededRandom } from "./random.ts";
export type { Distribution, ReplayOutcome } from "./replay-outcome.ts";
export { type PickerFactory, type ReplayOptions, runReplay, type ServedRequest } from "./run-replay.ts";
export type { VirtualTime } from "./virtual-time.ts";
export { readTrace, TraceError } from "./workload/read-trace.ts";
export { hotPrefixRequests, multiTurnRequests, sharedPrefixRequests } from "./workload/synthetic-workloads.ts";
export {
  buildWorkload,
  type RequestOutline,
  type Segment,
  type Workload,
  type WorkloadRequest,
} from "./workload/workload.ts";
