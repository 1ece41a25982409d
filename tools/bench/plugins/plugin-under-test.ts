import { formatProblem, loadConfig, type PluginResolver } from "@pointsman/config";
import {
  type AnyPluginDefinition,
  type Endpoint,
  Headers,
  hasRole,
  type InferenceRequest,
  internAttribute,
  isPluginDefinition,
  noMetrics,
  type PluginHost,
  type PluginInstance,
  type PluginKind,
  type RequestError,
  type ResponseBodyEvent,
  type SchedulingResult,
  silentLogger,
  writeAttribute,
} from "@pointsman/core";
import { buildEndpoint, buildRequest, FakeClock, seededRandom } from "@pointsman/testkit";
import { builtinPlugins } from "../../../apps/epp/src/registry/builtins.gen.ts";
import { PluginRegistry } from "../../../apps/epp/src/registry/plugin-registry.ts";
import { leastConfigurations, leastConfigurationText } from "../../../apps/epp/test/least-configurations.ts";
import { benchModel, endpointValue, requestValue } from "./signal-values.ts";

/** Kinds whose plugins see requests together with the pool, in the order of a request's way. */
const measuredKinds: readonly PluginKind[] = [
  ...(["screener", "producer", "admitter", "saturation-detector"] as const),
  ...(["filter", "scorer", "picker", "decider"] as const),
];
const preparedRequests = 16;

/** A plugin made by the configuration loader, with a pool and requests that have every signal it reads. */
export interface PluginUnderTest {
  readonly type: string;
  readonly kind: PluginKind;
  readonly endpoints: readonly Endpoint[];
  /** Everything that the plugin does for one request. Throws when the plugin refuses the request or waits. */
  call(number: number): void;
  dispose(): Promise<void>;
}

/** In-tree types of the measured kinds, by kind and name. */
export async function measuredTypes(): Promise<readonly { readonly type: string; readonly kind: PluginKind }[]> {
  const registry = new PluginRegistry(import.meta.dirname);
  const found = await Promise.all(
    builtinPlugins.map(async ({ type }) => {
      const definition = await registry.resolve(type);
      if (!isPluginDefinition(definition)) throw new Error(`${type}: ${definition.message}`);
      return { type, kind: definition.kind };
    }),
  );
  return measuredKinds.flatMap((kind) => found.filter((each) => each.kind === kind));
}

/** Makes a plugin of this type from its least configuration, and a pool of `count` endpoints. */
export async function createPluginUnderTest(type: string, count: number): Promise<PluginUnderTest> {
  const random = seededRandom(2026);
  const clock = new FakeClock();
  const endpoints: Endpoint[] = [];
  let noted: Noted | undefined;
  const { problems, graph } = await loadConfig(
    { text: leastConfigurationText(type, leastConfigurations[type]), file: type, baseDirectory: import.meta.dirname },
    {
      resolver: noting(type, (each) => {
        noted ??= each;
      }),
      allowExperimental: true,
      environment: {
        ...{ logger: silentLogger, metrics: noMetrics, clock, random, stalenessMs: 2000 },
        endpoints: () => endpoints,
        timersFor: () => ({ ...clock.timers, stopAll: () => {} }),
      },
    },
  );
  // Where nobody produces what the plugin reads there is no graph; here the bench is the producer.
  const errors = problems.filter(
    ({ severity, code }) => severity === "error" && code !== "EPP_CONFIG_MISSING_PRODUCER",
  );
  if (errors.length > 0) throw new Error(errors.map(formatProblem).join("\n"));
  if (noted === undefined) throw new Error(`the least configuration of ${type} creates no plugin of that type`);
  const { definition, params, host } = noted;
  const instance =
    graph?.plugins.find((each) => each.type === definition.type)?.instance ?? definition.create(params, host);
  const { required = [], optional = [] } = definition.consumes?.(params) ?? {};
  const consumed = [...new Set([...required, ...optional].map((key) => internAttribute(key)))];

  for (let slot = 0; slot < count; slot++) endpoints.push(endpointOf(slot));
  for (const key of consumed) {
    if (key.scope !== "endpoint") continue;
    for (const each of endpoints) writeAttribute(each, key, endpointValue(key, random, each.slot), clock.now());
  }
  introduce(instance, endpoints);
  const requests = Array.from({ length: preparedRequests }, (_, i) => {
    const request = requestOf(i, clock.now(), endpoints[i % count]!);
    for (const key of consumed) {
      if (key.scope === "request") request.attributes.set(key, requestValue(key, random, endpoints));
    }
    return request;
  });
  return {
    type,
    kind: definition.kind,
    endpoints,
    call: callOf(instance, requests, endpoints, random),
    async dispose() {
      if (graph === undefined) await instance.dispose?.();
      else await graph.dispose();
    },
  };
}

/** What the loader makes a plugin with. */
interface Noted {
  readonly definition: AnyPluginDefinition;
  readonly params: unknown;
  readonly host: PluginHost;
}

/** In-tree plugins, telling what those of one type are made with. */
function noting(type: string, note: (noted: Noted) => void): PluginResolver {
  const registry = new PluginRegistry(import.meta.dirname);
  return {
    known: registry.known,
    async resolve(name) {
      const definition = await registry.resolve(name);
      if (!isPluginDefinition(definition) || definition.type !== type) return definition;
      return {
        ...definition,
        create(params, host) {
          note({ definition, params, host });
          return definition.create(params, host);
        },
      };
    },
  };
}

/** Labels of all kinds that plugins look at: half of the pool on each side of a choice. */
function endpointOf(slot: number): Endpoint {
  const half = slot % 2 === 0;
  return buildEndpoint(slot, {
    address: `10.${(slot >> 16) & 255}.${(slot >> 8) & 255}.${slot & 255}`,
    port: 8000,
    labels: {
      ...{ app: "llm", tier: half ? "gold" : "silver", revision: half ? "a" : "b" },
      "llm-d.ai/role": (["decode", "prefill", "encode", "prefill-decode"] as const)[slot % 4]!,
      "llm-d.ai/context-length-range": half ? "0-2000" : "2000-100000",
      "disaggregatedset.x-k8s.io/revision": half ? "a" : "b",
      "disaggregatedset.x-k8s.io/role": slot % 4 < 2 ? "decode" : "prefill",
    },
  });
}

function requestOf(index: number, nowMs: number, sessionEndpoint: Endpoint): InferenceRequest {
  const sessionToken = Buffer.from(sessionEndpoint.id).toString("base64");
  const text = Buffer.from(`question ${index} `.repeat(80));
  return buildRequest({
    id: `bench-${index}`,
    nowMs,
    targetModel: index % 2 === 0 ? benchModel : "adapter-1",
    // Sheddable, so that admitters look at it.
    priority: -1,
    headers: {
      ...{ ":path": "/v1/chat/completions", "content-type": "application/json" },
      ...{ "x-tier": "gold", "x-session-id": `session-${index}`, "x-session-token": sessionToken },
      ...{ "x-llm-d-slo-ttft-ms": "1000", "x-llm-d-slo-tpot-ms": "100" },
      "test-epp-endpoint-selection": `${sessionEndpoint.hostPort},10.0.0.1:8000`,
    },
    body: { model: benchModel, promptSegments: () => [[{ kind: "text", bytes: text }]] },
  });
}

/** Tells a plugin of the pool, as the datastore and a source of Kubernetes objects do. */
function introduce(instance: PluginInstance, endpoints: readonly Endpoint[]): void {
  if (hasRole(instance, "endpointListener")) {
    for (const endpoint of endpoints) instance.endpointChanged({ type: "addOrUpdate", endpoint });
  }
  if (hasRole(instance, "kubernetesListener")) {
    for (const { metadata } of endpoints) {
      const { namespace, name, labels } = metadata;
      const status = { conditions: [{ type: "Ready", status: "True" }] };
      instance.resourceChanged({ type: "addOrUpdate", object: { metadata: { namespace, name, labels }, status } });
    }
    instance.resourceChanged({ type: "synced" });
  }
}

const answerHeaders = Headers.from([
  [":status", "200"],
  ["content-type", "application/json"],
]);
const usage = { promptTokens: 300, completionTokens: 5, totalTokens: 305, cachedTokens: 0 };
const firstBytes: ResponseBodyEvent = bodyEvent(true, false);
const lastBytes: ResponseBodyEvent = bodyEvent(false, true);

function bodyEvent(startOfStream: boolean, endOfStream: boolean): ResponseBodyEvent {
  return {
    ...{ startOfStream, endOfStream, chunkBytes: 250, streamedEvents: 0 },
    usage: endOfStream ? usage : undefined,
    terminationCause: endOfStream ? "natural" : undefined,
    setDynamicMetadata: () => {},
  };
}

/** One request from its headers to the end of its answer, as far as the plugin takes part. */
function callOf(
  instance: PluginInstance,
  requests: readonly InferenceRequest[],
  endpoints: readonly Endpoint[],
  random: () => number,
): (number: number) => void {
  const scores = new Float64Array(endpoints.length);
  const totals = Float64Array.from(endpoints, () => random() * 9);
  const results = requests.map((_, i): SchedulingResult => {
    const targets = [endpoints[(i * 7) % endpoints.length]!];
    return {
      primaryProfile: "default",
      profiles: new Map([["default", { targets, candidates: endpoints, totals }]]),
    };
  });
  const setHeaders = new Map<string, string>();
  const headersEvent = { headers: answerHeaders, status: 200, servedBy: undefined, proxyMetadata: {}, setHeaders };
  const proceed = (refusal: RequestError | undefined): void => {
    if (refusal !== undefined) throw refusal;
  };
  return (number) => {
    const at = number % requests.length;
    const request = requests[at]!;
    const result = results[at]!;
    if (hasRole(instance, "requestHeaderProcessor")) proceed(instance.requestHeaders(request));
    if (hasRole(instance, "screener")) instance.screen(request, endpoints);
    if (hasRole(instance, "dataProducer") && instance.produce(request, endpoints) instanceof Promise) {
      throw new Error("a request waits in it, for other requests or for a service outside of the process");
    }
    // A refusal is an answer, too.
    if (hasRole(instance, "admitter")) instance.admitRequest(request, endpoints);
    if (hasRole(instance, "saturationDetector")) instance.saturation(endpoints, request.nowMs);
    if (hasRole(instance, "disaggregationDecider"))
      instance.disaggregate(request, result.profiles.get("default")!.targets[0]);
    if (hasRole(instance, "filter")) instance.filter(request, endpoints);
    if (hasRole(instance, "scorer")) instance.score(request, endpoints, scores.fill(0));
    if (hasRole(instance, "picker")) instance.pick(request, endpoints, totals);
    if (hasRole(instance, "preRequest")) proceed(instance.preRequest(request, result));
    if (hasRole(instance, "responseHeaderProcessor")) instance.responseHeaders(request, result, headersEvent);
    if (hasRole(instance, "responseBodyProcessor")) {
      instance.responseBody(request, result, firstBytes);
      instance.responseBody(request, result, lastBytes);
    }
    setHeaders.clear();
  };
}
