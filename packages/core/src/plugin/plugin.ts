import type { AttributeKey } from "../attributes/attribute-key.ts";
import type { Clock, Timers } from "../clock.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Logger } from "../logger.ts";
import type { MetricsRegistry } from "../metrics.ts";
import type { InferenceRequest, MetadataValue } from "../request.ts";
import type {
  EndpointDiscovery,
  EndpointListener,
  KubernetesListener,
  PollingExtractor,
  PollingSource,
} from "./data-plugins.ts";
import type { ParamsSchema } from "./params-schema.ts";
import type { Parser } from "./parser.ts";
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

/** What a plugin mainly is: its folder, its contract test, its place in the documentation. */
export type PluginKind =
  | "filter"
  | "scorer"
  | "picker"
  | "profile-handler"
  | "screener"
  | "producer"
  | "admitter"
  | "parser"
  | "discovery"
  | "source"
  | "extractor"
  | "saturation-detector"
  | "decider"
  | "response-processor"
  | "policy";

/** How settled a plugin is. Alpha ones need `--allow-experimental-plugins`. */
export type PluginStability = "alpha" | "beta" | "stable";

/** What plugins have in common: both parts are optional. */
export interface PluginLifecycle {
  /** Releases what the instance holds beyond its host's timers. Called once, when no request uses it any more. */
  dispose?(): void | Promise<void>;
  /** State for people who debug: bounded in size, no prompts, no secrets. */
  dumpState?(): MetadataValue;
  /** Gates readiness: says what is missing, `undefined` when ready. */
  notReady?(): string | undefined;
}

/**
 * A plugin at work. It takes every role whose method it has: a scorer that also learns from decisions has `score`
 * and `preRequest`.
 */
export type PluginInstance = PluginLifecycle &
  Partial<
    Filter &
      Scorer &
      Picker &
      ProfileHandler &
      DisaggregationDecider &
      RequestHeaderProcessor &
      Screener &
      DataProducer &
      Admitter &
      PreRequest &
      ResponseHeaderProcessor &
      ResponseBodyProcessor &
      SaturationDetector &
      EndpointDiscovery &
      EndpointListener &
      KubernetesListener &
      PollingSource &
      PollingExtractor &
      Omit<Parser, "claims" | "appProtocols">
  > &
  Partial<Pick<Parser, "claims" | "appProtocols">>;

/** Reads one endpoint attribute. */
export interface EndpointReader<T> {
  /** The value whatever its age; `undefined` when unknown. */
  get(endpoint: Endpoint): T | undefined;
  /** The value if it is not older than the process's staleness threshold at `nowMs`; else `undefined`. */
  fresh(endpoint: Endpoint, nowMs: number): T | undefined;
  /** Milliseconds since the last write, `undefined` before the first. */
  ageMs(endpoint: Endpoint, nowMs: number): number | undefined;
}

/** Writes one endpoint attribute; `undefined` makes it unknown. */
export interface EndpointWriter<T> {
  set(endpoint: Endpoint, value: T | undefined, nowMs: number): void;
}

/** Reads one request attribute. */
export interface RequestReader<T> {
  get(request: InferenceRequest): T | undefined;
}

/** Writes one request attribute. */
export interface RequestWriter<T> {
  set(request: InferenceRequest, value: T | undefined): void;
}

/**
 * What a plugin instance may use of the process. Attributes it did not declare in `consumes` or `produces` are refused
 * when it asks for the reader or writer, which is at start and not while requests run.
 */
export interface PluginHost {
  /** Instance name from the configuration; the type when none was given. */
  readonly name: string;
  readonly type: string;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Folder of the configuration file: relative paths in parameters start here. */
  readonly baseDirectory: string;
  /** Uniform in [0, 1). */
  random(): number;
  /** The endpoints known at this moment. */
  endpoints(): readonly Endpoint[];
  /** Another configured plugin by name, for the few types whose parameters refer to one. */
  plugin(name: string): PluginInstance | undefined;
  endpointReader<T>(key: AttributeKey<T>): EndpointReader<T>;
  endpointWriter<T>(key: AttributeKey<T>): EndpointWriter<T>;
  requestReader<T>(key: AttributeKey<T>): RequestReader<T>;
  requestWriter<T>(key: AttributeKey<T>): RequestWriter<T>;
}

/** Data an instance needs. */
export interface Consumes {
  /** Without a producer for one of these the configuration is refused, unless a default producer exists. */
  readonly required?: readonly AttributeKey<unknown>[];
  /** Used when present. */
  readonly optional?: readonly AttributeKey<unknown>[];
}

/** A plugin package's default export. */
export interface PluginDefinition<P> {
  /** Name in configuration files; also the folder and the package name. */
  readonly type: string;
  /** Former names that work and warn. */
  readonly aliases?: readonly string[];
  /** Further types of the same plugin, each with a stability of its own. */
  readonly variants?: readonly { readonly type: string; readonly stability: PluginStability }[];
  readonly kind: PluginKind;
  readonly stability: PluginStability;
  /** One line for lists: what it keeps, what 1 and 0 mean, what it produces. */
  readonly summary: string;
  /** Parameters; absent when there are none. */
  readonly params?: ParamsSchema<P>;
  /** Takes part only with this payload or role names; informational for tools. */
  readonly consumes?: (params: P) => Consumes;
  readonly produces?: (params: P, name: string) => readonly AttributeKey<unknown>[];
  /** Names of other plugins that the parameters refer to, with the parameter's path. */
  readonly references?: (params: P) => readonly { readonly path: readonly string[]; readonly name: string }[];
  /** Reads request bodies (`request`) or answers (`response`); drives what the picker asks of the proxy. */
  readonly readsBody?: readonly ("request" | "response")[];
  /** Makes an instance. A thrown error is a configuration problem of this plugin. */
  create(params: P, host: PluginHost): PluginInstance;
}

/** A definition whose parameter type is not known, as registries hold it. */
export type AnyPluginDefinition = PluginDefinition<unknown>;

/**
 * Declares a plugin. Returns what it is given; it exists to fix the types and to mark a module as a plugin.
 */
export function definePlugin<P = undefined>(definition: PluginDefinition<P>): AnyPluginDefinition {
  // A registry calls `create` only with what this definition's own schema returned, so the parameter type is kept.
  return definition as AnyPluginDefinition;
}

/** The definitions of all types that a definition stands for: itself, then its variants. */
export function withVariants(definition: AnyPluginDefinition): readonly AnyPluginDefinition[] {
  const { variants = [], aliases: _, ...shared } = definition;
  return [definition, ...variants.map((variant) => ({ ...shared, ...variant }))];
}

/** Tells whether a module's default export is a plugin definition. */
export function isPluginDefinition(value: unknown): value is AnyPluginDefinition {
  if (typeof value !== "object" || value === null) return false;
  const candidate = value as Partial<AnyPluginDefinition>;
  return (
    typeof candidate.type === "string" &&
    typeof candidate.kind === "string" &&
    typeof candidate.stability === "string" &&
    typeof candidate.create === "function"
  );
}
