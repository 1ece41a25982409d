import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import type { PluginGraph } from "@pointsman/config";
import { silentLogger } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { processMethod } from "@pointsman/ext-proc";
import { ProcessingRequestSchema, type ProcessingResponse, ProcessingResponseSchema } from "@pointsman/proto/ext-proc";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "@pointsman/proto/health";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { parseFlags } from "../src/flags/parse-flags.ts";
import { serveOptions } from "../src/flags/serve-options.ts";
import { type EppParts, type EppPorts, EppProcess } from "../src/process/epp-process.ts";
import { loadGraph } from "../src/process/load-graph.ts";

const cleanups: (() => void | Promise<void>)[] = [];

/** Ends what the functions of this file started; newest first. */
export async function endAll(): Promise<void> {
  for (const run of cleanups.splice(0).reverse()) await run();
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "epp-test-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** An HTTP server on a free port of this machine. */
export async function modelServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<number> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port; // It listens on TCP, so this is no pipe's name.
}

export interface Picker {
  readonly epp: EppProcess;
  readonly graph: PluginGraph;
  readonly ports: EppPorts;
}

/** Ports and address for a picker under test, and the endpoints file of one model server. */
export function pickerFlags(modelPort: number): readonly string[] {
  const file = join(temporaryFolder(), "endpoints.yaml");
  writeFileSync(file, `endpoints: [{name: a, address: 127.0.0.1, port: "${modelPort}"}]\n`);
  return [
    ...["--endpoints-file", file, "--bind-address=127.0.0.1"],
    ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"],
  ];
}

/** A picker in this process, from flags to ports. */
export async function startPicker(flags: readonly string[], parts: Pick<EppParts, "random"> = {}): Promise<Picker> {
  const parsed = parseFlags(flags);
  const options = "problems" in parsed ? parsed : serveOptions(parsed, {});
  if ("problems" in options) throw new Error(options.problems.join("\n"));
  const logger = silentLogger;
  const metrics = createPrometheusMetrics({ processMetrics: false, deprecatedNames: options.deprecatedMetrics });
  const datastore = new Datastore({
    pool: { name: options.poolName, namespace: options.poolNamespace, appProtocol: undefined },
    logger,
  });
  const loaded = await loadGraph(options, { ...options, logger, metrics, datastore });
  if ("unreadable" in loaded || loaded.graph === undefined || loaded.effective === undefined) {
    throw new Error(JSON.stringify(loaded, null, 2));
  }
  const { graph, effective } = loaded;
  const epp = new EppProcess({ options, effective, graph, datastore, logger, metrics, ...parts });
  const ports = await epp.start();
  cleanups.push(() => epp.stop());
  return { epp, graph, ports };
}

/** The program itself, once it is ready. */
export async function runProgram(
  flags: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  readonly ready: Readonly<Record<string, unknown>>;
  /** Of standard error. */
  readonly lines: readonly string[];
  /** Of standard output. */
  readonly printed: readonly string[];
}> {
  const child = spawn(fileURLToPath(new URL("../bin/epp", import.meta.url)), flags, {
    env: { ...process.env, ...environment },
  });
  cleanups.push(() => void child.kill("SIGKILL"));
  const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  const lines: string[] = [];
  const printed: string[] = [];
  createInterface({ input: child.stdout! }).on("line", (line) => printed.push(line));
  const ready = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    createInterface({ input: child.stderr! }).on("line", (line) => {
      lines.push(line);
      if (line.includes('"msg":"ready"')) resolve(JSON.parse(line) as Record<string, unknown>);
    });
    void exited.then((code) => reject(new Error(`ended with ${code}: ${lines.join("\n")}`)));
  });
  return { child, exited, ready: await ready, lines, printed };
}

const identity = (bytes: Buffer): Buffer => bytes;

/** To a port, or to a Unix socket's path. */
function grpcClient(where: number | string, channel: ChannelCredentials = credentials.createInsecure()): Client {
  const client = new Client(typeof where === "string" ? `unix:${where}` : `127.0.0.1:${where}`, channel, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.ssl_target_name_override": "epp.test",
  });
  cleanups.push(() => client.close());
  return client;
}

/** Status of a service: 1 is serving, 2 is not serving. */
export function healthOf(port: number, service: string): Promise<number> {
  const request = Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service })));
  const client = grpcClient(port);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      identity,
      identity,
      request,
      (error: ServiceError | null, value?: Buffer) => {
        if (error === null) resolve(fromBinary(HealthCheckResponseSchema, value!).status);
        else reject(error);
      },
    );
  });
}

type Message = MessageInitShape<typeof ProcessingRequestSchema>;

/** One ext_proc stream, as Envoy opens it. */
export class ExtProcStream {
  readonly replies: ProcessingResponse[] = [];
  readonly ended: Promise<number>;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #client: Client;

  constructor(where: number | string, channel?: ChannelCredentials) {
    this.#client = grpcClient(where, channel);
    this.#call = this.#client.makeBidiStreamRequest(processMethod, identity, identity, new Metadata());
    this.#call.on("data", (bytes: Buffer) => this.replies.push(fromBinary(ProcessingResponseSchema, bytes)));
    this.#call.on("error", () => {});
    this.ended = new Promise((resolve) => this.#call.on("status", ({ code }) => resolve(code)));
  }

  send(message: Message): this {
    this.#call.write(Buffer.from(toBinary(ProcessingRequestSchema, create(ProcessingRequestSchema, message))));
    return this;
  }

  /** Sends a whole request, a completion unless the path or body says otherwise. */
  request(headers: Readonly<Record<string, string>> = {}, body: string = '{"model":"m","prompt":"a few words"}'): this {
    const all = { ":path": "/v1/completions", ...headers };
    return this.send({
      request: {
        case: "requestHeaders",
        value: {
          headers: {
            headers: Object.entries(all).map(([key, value]) => ({ key, rawValue: Buffer.from(value) })),
          },
        },
      },
    }).send({
      request: {
        case: "requestBody",
        value: { body: Buffer.from(body), endOfStream: true },
      },
    });
  }

  /** Sends a whole answer of the model server. */
  response(): this {
    return this.answer("{}");
  }

  /** Sends an answer with this body in one piece. */
  answer(body: string, headers: Readonly<Record<string, string>> = { ":status": "200" }): this {
    return this.send({
      request: {
        case: "responseHeaders",
        value: {
          headers: {
            headers: Object.entries(headers).map(([key, value]) => ({ key, rawValue: Buffer.from(value) })),
          },
        },
      },
    }).send({ request: { case: "responseBody", value: { body: Buffer.from(body), endOfStream: true } } });
  }

  /** Closes the connection. */
  close(): void {
    this.#client.close();
  }

  /** Ends the client's side. */
  end(): void {
    this.#call.end();
  }

  /** Headers that the picker sets on the request; `undefined` before it has decided. */
  requestHeadersSet(): Readonly<Record<string, string>> | undefined {
    const reply = this.replies.find(({ response }) => response.case === "requestHeaders")?.response;
    if (reply?.case !== "requestHeaders") return undefined;
    const set = reply.value.response?.headerMutation?.setHeaders ?? [];
    return Object.fromEntries(
      set.map(({ header }) => [
        header?.key ?? "",
        Buffer.from(header?.rawValue ?? []).toString() || (header?.value ?? ""),
      ]),
    );
  }
}
