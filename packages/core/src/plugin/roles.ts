import type {
  EndpointDiscovery,
  EndpointListener,
  KubernetesListener,
  PollingExtractor,
  PollingSource,
} from "./data-plugins.ts";
import type { Parser } from "./parser.ts";
import type { PluginInstance } from "./plugin.ts";
import type {
  Admitter,
  DataProducer,
  PreRequest,
  RequestHeaderProcessor,
  ResponseBodyProcessor,
  ResponseHeaderProcessor,
  SaturationDetector,
  Screener,
} from "./request-plugins.ts";
import type { DisaggregationDecider, Filter, Picker, ProfileHandler, Scorer } from "./scheduling-plugins.ts";

/** Every role with its interface. */
export interface Roles {
  filter: Filter;
  scorer: Scorer;
  picker: Picker;
  profileHandler: ProfileHandler;
  disaggregationDecider: DisaggregationDecider;
  requestHeaderProcessor: RequestHeaderProcessor;
  screener: Screener;
  dataProducer: DataProducer;
  admitter: Admitter;
  preRequest: PreRequest;
  responseHeaderProcessor: ResponseHeaderProcessor;
  responseBodyProcessor: ResponseBodyProcessor;
  saturationDetector: SaturationDetector;
  parser: Parser;
  discovery: EndpointDiscovery;
  endpointListener: EndpointListener;
  kubernetesListener: KubernetesListener;
  pollingSource: PollingSource;
  pollingExtractor: PollingExtractor;
}

export type Role = keyof Roles;

const methodOf: { readonly [R in Role]: string } = {
  filter: "filter",
  scorer: "score",
  picker: "pick",
  profileHandler: "pickProfiles",
  disaggregationDecider: "disaggregate",
  requestHeaderProcessor: "requestHeaders",
  screener: "screen",
  dataProducer: "produce",
  admitter: "admitRequest",
  preRequest: "preRequest",
  responseHeaderProcessor: "responseHeaders",
  responseBodyProcessor: "responseBody",
  saturationDetector: "saturation",
  parser: "parseRequest",
  discovery: "startDiscovery",
  endpointListener: "endpointChanged",
  kubernetesListener: "resourceChanged",
  pollingSource: "pollTarget",
  pollingExtractor: "extract",
};

/** The method that makes an instance take a role. */
export function methodOfRole(role: Role): string {
  return methodOf[role];
}

/** Tells whether an instance takes a role: whether it has the role's method. */
export function hasRole<R extends Role>(instance: PluginInstance, role: R): instance is PluginInstance & Roles[R] {
  return typeof (instance as Readonly<Record<string, unknown>>)[methodOf[role]] === "function";
}

/** The roles of an instance, in the order of the request's way. */
export function rolesOf(instance: PluginInstance): readonly Role[] {
  return (Object.keys(methodOf) as Role[]).filter((role) => hasRole(instance, role));
}

/** A configured plugin: the instance with the names it goes by. */
export interface NamedPlugin<I = PluginInstance> {
  readonly name: string;
  readonly type: string;
  readonly instance: I;
}
