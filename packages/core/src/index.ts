export {
  type AttributeKey,
  type AttributeScope,
  type AttributeType,
  defineAttribute,
  internAttribute,
} from "./attributes/attribute-key.ts";
export { RequestAttributes } from "./attributes/attribute-store.ts";
export { configuredMetric } from "./attributes/configured-metric.ts";
export { ENCODER_MATCH, type EncoderMatch } from "./attributes/encoder-match.ts";
export { EXPECTED_LATENCY, type ExpectedLatency } from "./attributes/expected-latency.ts";
export { GPU_UTILIZATION } from "./attributes/gpu-utilization.ts";
export { IN_FLIGHT_LOAD, type InFlightLoad, UNCACHED_REQUEST_TOKENS } from "./attributes/inflight-load.ts";
export { LATENCY_PREDICTION, type LatencyPrediction } from "./attributes/latency-prediction.ts";
export {
  ACTIVE_MODELS,
  CACHE_BLOCK_SIZE,
  CACHE_NUM_BLOCKS,
  customMetric,
  KV_CACHE_USAGE,
  MAX_ACTIVE_MODELS,
  RUNNING_REQUESTS_SIZE,
  WAITING_MODELS,
  WAITING_QUEUE_SIZE,
} from "./attributes/metric-attributes.ts";
export { MULTICLUSTER_KV_CACHE_UTILIZATION, MULTICLUSTER_QUEUE_SIZE } from "./attributes/multicluster-metrics.ts";
export { PEER_ENDPOINT } from "./attributes/peer-endpoint.ts";
export { PREFIX_MATCH, type PrefixMatch } from "./attributes/prefix-match.ts";
export { AGENT_IDENTITY, SESSION_ID } from "./attributes/request-attributes.ts";
export { SERVED_MODELS, type ServedModel } from "./attributes/served-models.ts";
export {
  type MultiModalFeature,
  type PromptTokens,
  TOKENIZED_PROMPT,
  type TokenizedPrompt,
} from "./attributes/tokenized-prompt.ts";
export { TOPOLOGY, type Topology } from "./attributes/topology.ts";
export { sharedTopologyLevel, type TopologyLevel, topologyLevels } from "./attributes/topology-level.ts";
export { BoundedValues } from "./bounded-values.ts";
export { type Clock, maxDelayMs, systemClock, type Timers } from "./clock.ts";
export { DecisionLog } from "./decision/decision-log.ts";
export { type DecisionTrace, type ScoreSummary, summarizeScores } from "./decision/decision-record.ts";
export {
  type CandidateView,
  type DecisionView,
  describeDecision,
  type FilterView,
  type PluginView,
  type ProfileView,
  type ScoreView,
  type SignalView,
  type StageView,
} from "./decision/describe-decision.ts";
export { parseDurationMs } from "./duration.ts";
export {
  Endpoint,
  type EndpointMetadata,
  type EndpointSnapshot,
  hostPort,
  ownName,
  type Reachability,
  slotTableLength,
  writeAttribute,
} from "./endpoint.ts";
export { EppBug, EppError, errorText } from "./errors.ts";
export { type HeaderMutation, Headers } from "./headers.ts";
export { type LogFields, type Logger, silentLogger } from "./logger.ts";
export {
  type Counter,
  type Gauge,
  type Histogram,
  type MetricFamily,
  type MetricOptions,
  type MetricsRegistry,
  noMetrics,
} from "./metrics.ts";
export { nearestName } from "./nearest-name.ts";
export { createHost, type HostEnvironment } from "./plugin/create-host.ts";
export type {
  EndpointDiscovery,
  EndpointEvent,
  EndpointListener,
  EndpointSink,
  KubernetesEvent,
  KubernetesListener,
  KubernetesObject,
  KubernetesResource,
  PollingExtractor,
  PollingSource,
  PollTarget,
  PollTls,
} from "./plugin/data-plugins.ts";
export type { ParamsIssue, ParamsOutcome, ParamsSchema } from "./plugin/params-schema.ts";
export type {
  ParsedRequest,
  Parser,
  PromptSegment,
  ResponseContext,
  ResponseReader,
  Usage,
} from "./plugin/parser.ts";
export {
  type AnyPluginDefinition,
  type Consumes,
  definePlugin,
  type EndpointReader,
  type EndpointWriter,
  isPluginDefinition,
  type PluginDefinition,
  type PluginHost,
  type PluginInstance,
  type PluginKind,
  type PluginLifecycle,
  type PluginStability,
  type RequestReader,
  type RequestWriter,
  withVariants,
} from "./plugin/plugin.ts";
export type {
  Admitter,
  DataProducer,
  PreRequest,
  RequestHeaderProcessor,
  ResponseBodyEvent,
  ResponseBodyProcessor,
  ResponseHeaderProcessor,
  ResponseHeadersEvent,
  SaturationDetector,
  Screener,
  TerminationCause,
} from "./plugin/request-plugins.ts";
export { hasRole, methodOfRole, type NamedPlugin, type Role, type Roles, rolesOf } from "./plugin/roles.ts";
export type {
  DisaggregationDecider,
  Filter,
  Picker,
  ProfileHandler,
  ProfileResult,
  ProfileResults,
  SchedulingResult,
  Scorer,
} from "./plugin/scheduling-plugins.ts";
export { createTimers, type OwnedTimers } from "./process-timers.ts";
export { InferenceRequest, type MetadataObject, type MetadataValue } from "./request.ts";
export { type AdmissionController, admitAll, shedWhenSaturated } from "./request-control/admission.ts";
export { type ErrorFormat, evictionReply, replyFor } from "./request-control/error-reply.ts";
export { Exchange, type Router } from "./request-control/exchange.ts";
export type { ExchangeEnd, ExchangeObserver, ExchangeWatch } from "./request-control/exchange-observer.ts";
export type { ExchangeSink, ImmediateReply, RoutedRequest } from "./request-control/exchange-sink.ts";
export { HeldBodies } from "./request-control/held-bodies.ts";
export { type InFlightPlace, type InFlightRequest, InFlightRequests } from "./request-control/in-flight-requests.ts";
export type { ModelRewrites, Objectives, RewriteChoice } from "./request-control/model-rewrite.ts";
export { OpenExchanges } from "./request-control/open-exchanges.ts";
export { ParserSelection, requestPath } from "./request-control/parser-selection.ts";
export { defaultProduceTimeoutMs, type ProducerLevels } from "./request-control/producer-run.ts";
export { RequestControl, type RequestControlOptions } from "./request-control/request-control.ts";
export { RequestMetrics } from "./request-control/request-metrics.ts";
export type {
  InferenceModelRewrite,
  InferenceObjective,
  RequestPolicySink,
  RewriteRule,
  RewriteTarget,
} from "./request-control/request-policies.ts";
export { maxHeldResponseBytes } from "./request-control/response-phase.ts";
export { type DropReason, httpStatusOf, RequestError, type RequestErrorCode } from "./request-error.ts";
export { type EndpointRole, endpointRole, keepRoles, ROLE_LABEL } from "./roles-label.ts";
export { type ExtensionPoint, PluginCalls } from "./scheduling/plugin-calls.ts";
export { prefillTarget } from "./scheduling/prefill-target.ts";
export {
  Scheduler,
  type SchedulerOptions,
  type SchedulingProfile,
  type WeightedScorer,
} from "./scheduling/scheduler.ts";
export { SchedulerAttempts } from "./scheduling/scheduler-attempts.ts";
export { scoreFewest } from "./scheduling/score-fewest.ts";
export { aliasedHeaders, controlHeaders, wireNames } from "./wire-names.ts";
export { zeroedBytes, zeroedFloat64, zeroedInt32, zeroedUint32 } from "./zeroed.ts";
