/** For the coordinator of disaggregated requests: calls to servers, answers to clients, edits of bodies in place; for both programs: how they end. */
export { noStream } from "./body/api-kind.ts";
export { editObject, editRoot, type MemberEdits } from "./body/edit-object.ts";
export { jsonText, type PlainJson, RawJson } from "./body/json-text.ts";
export { Cancellation } from "./cancellation.ts";
export { ClientReply } from "./client/client-reply.ts";
export { originForm } from "./client/client-request.ts";
export { type BodyOutcome, readBody } from "./client/read-body.ts";
export { newBootstrapRoom } from "./connectors/bootstrap-room.ts";
export { keepForReader } from "./connectors/nixl-transfer.ts";
export { Relay, type RelayClient, type RelayEnd, type RelayOptions } from "./decode/relay.ts";
export { startMetricsServer } from "./server/metrics-server.ts";
export { guardProcess, stopOnSignal, stopSignal } from "./server/program-end.ts";
export { RankListener as HttpListener } from "./server/rank-listener.ts";
export { durationBuckets } from "./sidecar-metrics.ts";
export {
  type CollectedReply,
  type CollectOptions,
  collectReply,
  type FailedReply,
} from "./upstream/collect-reply.ts";
export { makeTarget, type Target } from "./upstream/target.ts";
export type { UpstreamRequest } from "./upstream/upstream-call.ts";
export { failureText, type UpstreamFailure, type UpstreamFailureKind } from "./upstream/upstream-failure.ts";
export { upstreamDefaults } from "./upstream/upstream-limits.ts";
export { UpstreamPool } from "./upstream/upstream-pool.ts";
