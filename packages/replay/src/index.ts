export { type CombinedOutcome, combineOutcomes, type Spread } from "./combine-outcomes.ts";
export type { Distribution } from "./distribution.ts";
export { defaultEngineModel, type EngineModel } from "./engine/engine-model.ts";
export type { EngineTrouble } from "./engine/simulated-engine.ts";
export type { Stall } from "./engine/stalls.ts";
export { CapacityError, findCapacity } from "./find-capacity.ts";
export { type BuiltinPolicyName, builtinPolicyNames } from "./policies/builtin-policies.ts";
export type { AnswerDelays, ReplayedPicker, ReportedUsage } from "./policies/picker-policy.ts";
export type { ReplayOutcome } from "./replay-outcome.ts";
export { type PickerFactory, type ReplayOptions, runReplay } from "./run-replay.ts";
export { SeededRandom } from "./seeded-random.ts";
export type { ServedRequest } from "./served-request.ts";
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
