import type { Client } from "@grpc/grpc-js";
import { loadConfig } from "@pointsman/config";
import {
  ACTIVE_MODELS,
  type AnyPluginDefinition,
  type AttributeKey,
  createTimers,
  definePlugin,
  type InFlightRequests,
  KV_CACHE_USAGE,
  type Logger,
  MAX_ACTIVE_MODELS,
  type ModelRewrites,
  type Objectives,
  type PluginInstance,
  RUNNING_REQUESTS_SIZE,
  silentLogger,
  systemClock,
  WAITING_MODELS,
  WAITING_QUEUE_SIZE,
  writeAttribute,
} from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { parseFlags } from "../../../src/flags/parse-flags.ts";
import { type ServeOptions, serveOptions } from "../../../src/flags/serve-options.ts";
import { type EppPorts, EppProcess } from "../../../src/process/epp-process.ts";
import { PluginRegistry } from "../../../src/registry/plugin-registry.ts";
import { connect, ExtProcStream } from "./ext-proc-stream.ts";
import { completion, type Message, type Pairs, request } from "./messages.ts";

export type Transport = "http2" | "grpc-js";

/** A model server as the Go picker's suite describes one: P(i, queue, kv, active models). */
export interface Pod {
  readonly queue?: number;
  readonly kv?: number;
  readonly models?: readonly string[];
  /** Adapters that fit; 4 when absent. */
  readonly maxModels?: number;
  /** `192.168.1.(i + 1)` when absent. */
  readonly address?: string;
  readonly port?: number;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface PickerOptions {
  readonly pods?: readonly Pod[];
  /** The configuration; the suite's default one when absent. Endpoints and test plugins come on top. */
  readonly config?: string;
  /** Plugins of the test by type. Named in `config`, or with the default configuration all of them are at work. */
  readonly plugins?: Readonly<Record<string, TestPlugin>>;
  readonly flags?: readonly string[];
  readonly objectives?: Objectives;
  readonly rewrites?: ModelRewrites;
  readonly inFlight?: InFlightRequests;
  /** Of the client's connection. */
  readonly channel?: object;
}

const discoveryType = "test-discovery";

/** The Go suite's configuration, with plugins of the test declared behind its own. */
function defaultConfig(plugins: readonly string[]): string {
  return `
plugins:
  - {type: queue-scorer}
  - {type: kv-cache-utilization-scorer}
  - {type: prefix-cache-scorer}
  - {type: lora-affinity-scorer}
  - {type: openai-parser}
${plugins.map((type) => `  - {type: ${type}}`).join("\n")}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
schedulingProfiles:
  - name: default
    plugins: [{pluginRef: queue-scorer}, {pluginRef: kv-cache-utilization-scorer}, {pluginRef: prefix-cache-scorer}, {pluginRef: lora-affinity-scorer}]
`;
}

/** A running picker: the whole process but its scraper, with a client of its ext_proc port. */
export interface Picker {
  readonly process: EppProcess;
  readonly datastore: Datastore;
  readonly client: Client;
  readonly ports: EppPorts;
  readonly log: readonly LogLine[];
  /** Opens a stream and sends messages. */
  stream(...messages: readonly Message[]): ExtProcStream;
  /** Opens a stream with a whole request: a completion unless `body` says otherwise. */
  request(options?: RequestOptions): ExtProcStream;
  /** Value of a metric, summed over the series that have these labels; 0 without one. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Series of a metric as the page shows them. */
  series(name: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export interface RequestOptions {
  readonly headers?: Pairs;
  readonly body?: string | Uint8Array;
  /** Of the body message. */
  readonly metadata?: Parameters<typeof request.body>[2];
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

async function startPicker(transport: Transport, options: PickerOptions = {}): Promise<Picker> {
  const { pods = [{}], plugins = {}, objectives, rewrites, inFlight } = options;
  const served = optionsOf([`--ext-proc-transport=${transport}`, ...(options.flags ?? [])]);
  const datastore = new Datastore({
    pool: { name: served.poolName, namespace: "default", appProtocol: undefined },
    logger: silentLogger,
  });
  const log: LogLine[] = [];
  const logger = recordingLogger(log);
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const registry = new PluginRegistry(import.meta.dirname);
  const own = testPlugins({ ...plugins, [discoveryType]: discovery(pods) });
  const config = options.config ?? defaultConfig(Object.keys(plugins));
  const { graph, effective, problems } = await loadConfig(
    {
      text:
        config.replace("plugins:", `plugins:\n  - {type: ${discoveryType}}`) +
        `dataLayer: {discovery: {pluginRef: ${discoveryType}}}\n`,
      file: "test.yaml",
      baseDirectory: import.meta.dirname,
    },
    {
      resolver: { known: registry.known, resolve: async (type) => own.get(type) ?? registry.resolve(type) },
      allowExperimental: true,
      environment: {
        logger,
        metrics,
        clock: systemClock,
        stalenessMs: 600_000,
        random: Math.random,
        endpoints: () => datastore.snapshot(),
        timersFor: (name) => createTimers(name, logger),
      },
    },
  );
  if (graph === undefined || effective === undefined) throw new Error(JSON.stringify(problems, null, 2));
  const process = new EppProcess({
    options: served,
    effective,
    // Signals are written by the test, so nothing is scraped.
    graph: { ...graph, sources: [] },
    datastore,
    logger,
    metrics,
    ...(objectives === undefined ? {} : { objectives }),
    ...(rewrites === undefined ? {} : { rewrites }),
    ...(inFlight === undefined ? {} : { inFlight }),
  });
  const ports = await process.start();
  const client = connect(ports.extProc, options.channel);
  const open: ExtProcStream[] = [];
  const stream = (...messages: readonly Message[]): ExtProcStream => {
    // As a scrape would: signals stay fresh, however long a test takes.
    pods.forEach((pod, i) => {
      writeSignals(datastore, i, pod);
    });
    const opened = new ExtProcStream(client).send(...messages);
    open.push(opened);
    return opened;
  };
  const series = async (name: string): Promise<readonly string[]> =>
    (await metrics.page()).split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return {
    ...{ process, datastore, client, ports, log, stream, series },
    request: ({ headers = {}, body = completion("test", "my-model"), metadata } = {}) =>
      stream(request.headers(headers), request.body(body, true, metadata)),
    async metric(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      const lines = (await series(name)).filter((line) => wanted.every((text) => line.includes(text)));
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
    },
    async stop() {
      for (const stream of open) stream.cancel();
      client.close();
      await process.stop();
    },
  };
}

/** Waits for something that happens on its own, also on a busy machine. */
export const eventually: typeof expect.poll = (look) => expect.poll(look, { timeout: 30_000 });

/**
 * Runs a set of tests on both transports. `start` gives a picker that is stopped after the test; `shared` gives one for
 * all tests of the set.
 */
export function onBothTransports(
  title: string,
  body: (
    start: (options?: PickerOptions) => Promise<Picker>,
    shared: (options?: PickerOptions) => () => Picker,
  ) => void,
): void {
  describe.each(["http2", "grpc-js"] as const)(`${title}, transport %s`, (transport) => {
    const started: Picker[] = [];
    afterEach(async () => {
      for (const picker of started.splice(0)) await picker.stop();
    });
    const start = async (options?: PickerOptions): Promise<Picker> => {
      const picker = await startPicker(transport, options);
      started.push(picker);
      return picker;
    };
    const shared = (options?: PickerOptions): (() => Picker) => {
      let picker: Picker | undefined;
      beforeAll(async () => {
        picker = await startPicker(transport, options);
      });
      afterAll(() => picker?.stop());
      return () => picker!;
    };
    body(start, shared);
  });
}

function optionsOf(extra: readonly string[]): ServeOptions {
  const flags = parseFlags([
    ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--bind-address=127.0.0.1"],
    ...["--secure-serving=false", "--drain-timeout=1ms", "--pool-name=vllm-qwen3-32b-pool"],
    ...extra,
  ]);
  const options = "problems" in flags ? flags : serveOptions(flags, {});
  if ("problems" in options) throw new Error(options.problems.join("\n"));
  return options;
}

type TestPlugin = PluginInstance | AnyPluginDefinition;

function testPlugins(plugins: Readonly<Record<string, TestPlugin>>): ReadonlyMap<string, AnyPluginDefinition> {
  return new Map(
    Object.entries(plugins).map(([type, plugin]) => [
      type,
      "create" in plugin
        ? { ...plugin, type }
        : definePlugin({ type, kind: "admitter", stability: "stable", summary: "A test's.", create: () => plugin }),
    ]),
  );
}

const podId = (i: number, pod: Pod): string => `${pod.namespace ?? "default"}/pod-${i}-rank-0`;

function discovery(pods: readonly Pod[]): AnyPluginDefinition {
  return definePlugin({
    type: discoveryType,
    kind: "discovery",
    stability: "stable",
    summary: "A test's pods.",
    create: () => ({
      async startDiscovery(sink) {
        pods.forEach((pod, i) => {
          const { address = `192.168.1.${i + 1}`, port = 8000, namespace = "default" } = pod;
          const host = address.includes(":") ? `[${address}]` : address;
          sink.upsert({
            ...{ id: podId(i, pod), namespace, name: `pod-${i}`, address, port },
            ...{ metricsHost: `${host}:${port}`, labels: pod.labels ?? {}, rankIndex: 0 },
          });
        });
      },
    }),
  });
}

function writeSignals(datastore: Datastore, i: number, pod: Pod): void {
  const endpoint = datastore.get(podId(i, pod));
  if (endpoint === undefined) return;
  const signals: readonly [AttributeKey<unknown>, unknown][] = [
    [WAITING_QUEUE_SIZE, pod.queue ?? 0],
    [RUNNING_REQUESTS_SIZE, 0],
    [KV_CACHE_USAGE, pod.kv ?? 0],
    [ACTIVE_MODELS, new Set(pod.models ?? [])],
    [WAITING_MODELS, new Set<string>()],
    [MAX_ACTIVE_MODELS, pod.maxModels ?? 4],
  ];
  for (const [key, value] of signals) writeAttribute(endpoint, key, value, systemClock.now());
}

function recordingLogger(log: LogLine[]): Logger {
  const at = (level: string) => (fields: object, message: string) =>
    void log.push({ level, message, fields: { ...fields } });
  const logger: Logger = {
    ...{ error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") },
    isLevelEnabled: () => true,
    child: () => logger,
  };
  return logger;
}
