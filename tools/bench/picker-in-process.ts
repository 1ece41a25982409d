import {
  createTimers,
  DecisionLog,
  type Endpoint,
  Headers,
  hasRole,
  InferenceRequest,
  KV_CACHE_USAGE,
  type ParsedRequest,
  PluginCalls,
  RequestError,
  type Router,
  RUNNING_REQUESTS_SIZE,
  Scheduler,
  silentLogger,
  systemClock,
  WAITING_QUEUE_SIZE,
  writeAttribute,
} from "@pointsman/core";
import { seededRandom } from "@pointsman/testkit";
import { createRouter } from "../../apps/epp/src/process/create-router.ts";
import { loadGraph } from "../../apps/epp/src/process/load-graph.ts";
import { Datastore } from "../../packages/datastore/src/index.ts";
import { createPrometheusMetrics } from "../../packages/telemetry/src/index.ts";
import { baselineConfig } from "./baseline-config.ts";

/** Signals are written once, so they must not age within a run. */
export const stalenessMs = 3_600_000;
const path = "/v1/chat/completions";
const sharedPrefixes = 50;
const promptBytes = 1200;
const random = seededRandom(2026);

/** The parts of the picker that decide, with its real plugins and metrics, and endpoints whose signals are random. */
export interface PickerInProcess {
  readonly endpoints: readonly Endpoint[];
  readonly scheduler: Scheduler;
  /** Keeps decision records as the process does by default. */
  readonly router: Router;
  /** A new request for one of the prompts that exist. */
  request(call: number): InferenceRequest;
  /** Runs the producers for a request, as happens before scheduling. */
  produce(request: InferenceRequest): Promise<void>;
  dispose(): Promise<void>;
}

export async function createPickerInProcess(count: number): Promise<PickerInProcess> {
  const datastore = new Datastore({
    pool: { name: "bench", namespace: "default", appProtocol: undefined },
    logger: silentLogger,
  });
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const loaded = await loadGraph(
    { configFile: "", configText: baselineConfig({ more: ["running-requests-size-scorer"] }), endpointsFile: "" },
    { allowExperimental: true, stalenessMs, logger: silentLogger, metrics, datastore },
  );
  if ("unreadable" in loaded || loaded.graph === undefined) {
    throw new Error(`the configuration does not load: ${JSON.stringify(loaded, undefined, 2)}`);
  }
  const { graph } = loaded;
  for (const { instance } of graph.plugins) if (hasRole(instance, "endpointListener")) datastore.subscribe(instance);
  addEndpoints(datastore, count);
  const endpoints = datastore.snapshot();
  const router = createRouter(graph, {
    endpoints: () => datastore.snapshot(),
    decisions: new DecisionLog(256, systemClock),
    clock: systemClock,
    timers: createTimers("bench", silentLogger),
    logger: silentLogger,
    metrics,
    random: Math.random,
    maxRequestBodyBytes: 64 * 1024 * 1024,
    emitScores: false,
    ignoreSubsetHint: false,
    recordedSignals: graph.consumed.filter((key) => key.scope === "endpoint"),
  });
  const scheduler = new Scheduler({
    profiles: graph.profiles,
    profileHandler: graph.profileHandler,
    calls: new PluginCalls(metrics, silentLogger),
    clock: systemClock,
    metrics,
  });
  const headers = Headers.from([[":path", path]]);
  const parser = router.parsers.select(path);
  if (parser === undefined) throw new Error(`no parser for ${path}`);
  const bodies = prompts(256).map((body): { readonly parsed: ParsedRequest; readonly bytes: number } => {
    const parsed = parser.instance.parseRequest(path, headers, body);
    if (parsed instanceof RequestError) throw parsed;
    return { parsed, bytes: body.length };
  });
  return {
    endpoints,
    scheduler,
    router,
    request(call) {
      const { parsed, bytes } = bodies[call % bodies.length]!;
      return new InferenceRequest({
        id: `bench-${call}`,
        headers,
        body: parsed,
        bodyBytes: bytes,
        receivedAtMs: systemClock.now(),
      });
    },
    async produce(request) {
      for (const level of graph.producers) {
        for (const { instance } of level) await instance.produce(request, endpoints);
      }
    },
    dispose: () => graph.dispose(),
  };
}

function addEndpoints(datastore: Datastore, count: number): void {
  const nowMs = systemClock.now();
  for (let i = 0; i < count; i++) {
    const address = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    const id = `default/server-${i}`;
    datastore.upsert({
      ...{ id, namespace: "default", name: `server-${i}`, address, port: 8000 },
      ...{ metricsHost: `${address}:8000`, labels: {}, rankIndex: 0 },
    });
    const endpoint = datastore.get(id)!;
    writeAttribute(endpoint, WAITING_QUEUE_SIZE, Math.floor(random() * 32), nowMs);
    writeAttribute(endpoint, RUNNING_REQUESTS_SIZE, Math.floor(random() * 64), nowMs);
    writeAttribute(endpoint, KV_CACHE_USAGE, random(), nowMs);
  }
}

/** Chats of which most share one of a few long beginnings; each ends in words of its own. */
function prompts(count: number): readonly Buffer[] {
  const prefixes = Array.from({ length: sharedPrefixes }, () => words(Math.floor(promptBytes * 0.95)));
  return Array.from({ length: count }, (_, i) =>
    Buffer.from(
      JSON.stringify({
        model: "Qwen/Qwen3-8B",
        messages: [
          { role: "system", content: prefixes[i % sharedPrefixes] },
          { role: "user", content: words(Math.ceil(promptBytes * 0.05)) },
        ],
        max_tokens: 100,
      }),
    ),
  );
}

function words(bytes: number): string {
  let text = "";
  while (text.length < bytes) text += `${Math.floor(random() * 36 ** 6).toString(36)} `;
  return text;
}
