import {
  type AnyPluginDefinition,
  type AttributeKey,
  createHost,
  Endpoint,
  Headers,
  hostPort,
  InferenceRequest,
  type Logger,
  type MetadataObject,
  type MetricsRegistry,
  noMetrics,
  type ParsedRequest,
  type PluginHost,
  type PluginInstance,
  silentLogger,
  writeAttribute,
} from "@pointsman/core";
import { FakeClock } from "./fake-clock.ts";

/** Value of an attribute for {@link buildEndpoint}: written at `atMs`, or at 0 when absent. */
export type AttributeValue = readonly [key: AttributeKey<unknown>, value: unknown, atMs?: number];

/** An endpoint called `default/<name>` at 127.0.0.1, with attributes as given. */
export function buildEndpoint(
  slot: number,
  options: {
    readonly name?: string;
    readonly namespace?: string;
    readonly address?: string;
    readonly port?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly attributes?: readonly AttributeValue[];
  } = {},
): Endpoint {
  const name = options.name ?? `server-${slot}`;
  const namespace = options.namespace ?? "default";
  const address = options.address ?? "127.0.0.1";
  const port = options.port ?? 8000 + slot;
  const endpoint = new Endpoint(slot, {
    id: `${namespace}/${name}`,
    namespace,
    name,
    address,
    port,
    metricsHost: hostPort(address, port),
    labels: options.labels ?? {},
    rankIndex: 0,
  });
  for (const [key, value, atMs] of options.attributes ?? []) writeAttribute(endpoint, key, value, atMs ?? 0);
  return endpoint;
}

/** A parsed body with the given fields; a chat request without a prompt by default. */
export function buildBody(fields: Partial<ParsedRequest> = {}): ParsedRequest {
  return {
    model: "test-model",
    stream: false,
    maxOutputTokens: undefined,
    cacheSalt: undefined,
    promptSegments: () => [],
    promptTokenIds: () => undefined,
    ...fields,
  };
}

/** What {@link buildRequest} takes. */
export interface RequestOptions {
  readonly id?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Partial<ParsedRequest>;
  readonly targetModel?: string;
  readonly priority?: number;
  readonly nowMs?: number;
  readonly proxyMetadata?: MetadataObject;
  readonly attributes?: readonly (readonly [key: AttributeKey<unknown>, value: unknown])[];
}

/** A request with the given headers and body. */
export function buildRequest(options: RequestOptions = {}): InferenceRequest {
  const request = new InferenceRequest({
    id: options.id ?? "request-1",
    headers: Headers.from(Object.entries(options.headers ?? {})),
    body: buildBody(options.body),
    bodyBytes: 0,
    receivedAtMs: options.nowMs ?? 0,
    ...(options.proxyMetadata === undefined ? {} : { proxyMetadata: options.proxyMetadata }),
  });
  if (options.targetModel !== undefined) request.targetModel = options.targetModel;
  if (options.priority !== undefined) request.priority = options.priority;
  for (const [key, value] of options.attributes ?? []) request.attributes.set(key, value);
  return request;
}

/** mulberry32: uniform numbers in [0, 1), the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** What {@link buildPlugin} takes beside the definition. */
export interface BuildPluginOptions {
  readonly params?: unknown;
  readonly name?: string;
  readonly seed?: number;
  readonly stalenessMs?: number;
  readonly clock?: FakeClock;
  readonly endpoints?: () => readonly Endpoint[];
  readonly plugins?: Readonly<Record<string, PluginInstance>>;
  readonly logger?: Logger;
  readonly metrics?: MetricsRegistry;
  readonly baseDirectory?: string;
}

/** What {@link buildPlugin} makes. */
export interface BuiltPlugin {
  readonly instance: PluginInstance;
  readonly host: PluginHost;
  readonly clock: FakeClock;
}

/**
 * Makes an instance of a plugin as the picker does: parameters pass the plugin's own schema, attributes are limited to
 * the declared ones. Throws with the schema's message when the parameters are refused.
 */
export function buildPlugin(definition: AnyPluginDefinition, options: BuildPluginOptions = {}): BuiltPlugin {
  const clock = options.clock ?? new FakeClock();
  let params = options.params;
  if (definition.params !== undefined) {
    const outcome = definition.params["~standard"].validate(options.params ?? {});
    if (outcome instanceof Promise) throw new Error(`${definition.type}: the parameter schema is asynchronous`);
    if (outcome.issues !== undefined) {
      throw new Error(outcome.issues.map((issue) => `${(issue.path ?? []).join(".")}: ${issue.message}`).join("\n"));
    }
    params = outcome.value;
  }
  const host = createHost(definition, options.name ?? definition.type, params, {
    logger: options.logger ?? silentLogger,
    metrics: options.metrics ?? noMetrics,
    clock,
    timers: clock.timers,
    baseDirectory: options.baseDirectory ?? ".",
    stalenessMs: options.stalenessMs ?? 2000,
    random: seededRandom(options.seed ?? 1),
    endpoints: options.endpoints ?? (() => []),
    plugin: (name) => options.plugins?.[name],
  });
  return { instance: definition.create(params, host), host, clock };
}
