export type {
  ConnectionOptions,
  CoordinatorOptions,
  EcConnectorName,
  EncodeOptions,
  GatewayOptions,
  KvConnectorName,
  PlainStepOptions,
  RenderOptions,
  ReplaceMediaUrlsOptions,
  SglangOptions,
  StepChoices,
  StepOptions,
  StepType,
} from "./config/coordinator-options.ts";
export { type LoadedCoordinator, loadOptions } from "./config/load-options.ts";
export { helpText } from "./config/parse-arguments.ts";
export { type BaseAddress, parseBaseAddress } from "./gateway/base-address.ts";
export type { MediaNetwork } from "./media/media-network.ts";
export { type Coordinator, type CoordinatorDependencies, startCoordinator } from "./server/start-coordinator.ts";
export type { CallSpan, CoordinatorTracing, RequestTrace, SpanAttributes, TracedRequest } from "./tracing.ts";
