import { type AddressInfo, createServer } from "node:net";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { ExtProcStream, endAll, modelServer, pickerFlags, runProgram } from "./picker.ts";

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) server.forceShutdown();
  await endAll();
});

/** A collector that keeps the bytes of what it gets. */
async function collector(): Promise<{ readonly url: string; readonly received: Buffer[] }> {
  const received: Buffer[] = [];
  const server = new Server();
  servers.push(server);
  server.register(
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
      received.push(call.request);
      reply(null, Buffer.alloc(0));
    },
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    "unary",
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { url: `http://127.0.0.1:${port}`, received };
}

const traceId = "0af7651916cd43dd8448eb211c80319c";
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

/** One request to the program, which is then ended. */
async function serveOne(flags: readonly string[], environment: Readonly<Record<string, string>>) {
  const modelPort = await modelServer((_request, response) => response.end(""));
  const program = await runProgram([...pickerFlags(modelPort), "--secure-serving=false", ...flags], environment);
  const stream = new ExtProcStream(Number(program.ready["extProc"])).request({ traceparent });
  await expect.poll(() => stream.requestHeadersSet()).toBeDefined();
  stream.response().end();
  await stream.ended;
  program.child.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  return { program, set: stream.requestHeadersSet()! };
}

test("with OTEL_TRACES_EXPORTER=otlp the spans of a request reach the collector before the program ends", async () => {
  const { url, received } = await collector();
  const { set } = await serveOne([], { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: url });
  const bytes = Buffer.concat(received);
  for (const name of [
    "gateway.request",
    "gateway.request_orchestration",
    "run_scheduler_profile",
    "llm_d.epp.scorer.queue-scorer",
    "pick_endpoints",
  ]) {
    expect(bytes.includes(name), name).toBe(true);
  }
  expect(bytes.includes(Buffer.from(traceId, "hex"))).toBe(true);
  const [, trace, span, flags] = set["traceparent"]!.split("-");
  expect([trace, flags]).toEqual([traceId, "01"]);
  expect(bytes.includes(Buffer.from(span!, "hex"))).toBe(true);
});

test("a collector that never answers keeps no program that was told to end", async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo; // It listens on TCP, so this is no pipe's name.
  try {
    const { program } = await serveOne([], {
      OTEL_TRACES_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: "3600000",
    });
    expect(program.lines.join("\n")).toContain("the last spans could not be exported in time");
  } finally {
    silent.close();
  }
});

test("nothing is traced or printed unless asked for", async () => {
  const { program, set } = await serveOne([], { OTEL_TRACES_EXPORTER: "" });
  expect(set).not.toHaveProperty("traceparent");
  expect(program.printed).toEqual([]);
});

test("with --tracing and no exporter spans are printed", async () => {
  const { program, set } = await serveOne(["--tracing"], { OTEL_TRACES_EXPORTER: "" });
  expect(set["traceparent"]).toContain(traceId);
  expect(program.printed.join("\n")).toContain("name: 'gateway.request'");
});
