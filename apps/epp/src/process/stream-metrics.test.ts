import { Client, type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import { createGrpcJsServer, createHttp2Server, rpcStatus } from "@pointsman/grpc-transport";
import { createPrometheusMetrics } from "@pointsman/telemetry";
import { FakeClock } from "@pointsman/testkit";
import { afterEach, expect, test } from "vitest";
import { withStreamMetrics } from "./stream-metrics.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const run of cleanups.splice(0).reverse()) run();
});
const identity = (bytes: Buffer): Buffer => bytes;

test.each([
  ["http2", createHttp2Server],
  ["grpc-js", createGrpcJsServer],
] as const)("streams are counted while open and by how they end, on %s", async (_name, create) => {
  const metrics = createPrometheusMetrics({ processMetrics: false });
  const clock = new FakeClock();
  const method = withStreamMetrics(
    (stream) => ({
      message(bytes) {
        const text = Buffer.from(bytes).toString();
        if (text === "bye") stream.end();
        if (text === "bad") stream.end({ code: rpcStatus.invalidArgument, message: "bad" });
        if (text === "throw") throw new Error("a bug");
      },
      halfClose: () => {},
      cancelled: () => {},
    }),
    metrics,
    clock,
  );
  const server = create({
    host: "127.0.0.1",
    port: 0,
    methods: new Map([["/test/Stream", method]]),
    maxReceiveBytes: 100,
    onHandlerError: () => {},
  });
  const { port } = await server.start();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  cleanups.push(
    () => server.stop(),
    () => client.close(),
  );
  const open = (text: string, metadata: Metadata = new Metadata()): ClientDuplexStream<Buffer, Buffer> => {
    const call = client.makeBidiStreamRequest("/test/Stream", identity, identity, metadata);
    call.on("error", () => {});
    call.resume();
    call.write(Buffer.from(text));
    return call;
  };
  const lines = async (): Promise<string[]> =>
    (await metrics.page())
      .split("\n")
      .filter((line) => /^llm_d_epp_extproc_stream(s|_duration_seconds_(sum|bucket))/.test(line));

  const stays = open("hello");
  await expect.poll(lines).toContain("llm_d_epp_extproc_streams_inflight 1");
  clock.advance(20_000);
  stays.write(Buffer.from("bye"));
  await expect.poll(lines).toContain('llm_d_epp_extproc_streams_total{code="OK"} 1');
  const after = await lines();
  expect(after).toContain("llm_d_epp_extproc_streams_inflight 0");
  expect(after).toContain("llm_d_epp_extproc_stream_duration_seconds_sum 20");
  expect(after).toContain('llm_d_epp_extproc_stream_duration_seconds_bucket{le="10"} 0');
  expect(after).toContain('llm_d_epp_extproc_stream_duration_seconds_bucket{le="30"} 1');

  open("bad");
  await expect.poll(lines).toContain('llm_d_epp_extproc_streams_total{code="InvalidArgument"} 1');
  const leaves = open("hello");
  await expect.poll(lines).toContain("llm_d_epp_extproc_streams_inflight 1");
  leaves.cancel();
  await expect.poll(lines).toContain('llm_d_epp_extproc_streams_total{code="Canceled"} 1');
  // A client that keeps the time itself would cancel first, now and then.
  const timeout = new Metadata();
  timeout.set("grpc-timeout", "50m");
  open("hello", timeout);
  await expect.poll(lines).toContain('llm_d_epp_extproc_streams_total{code="DeadlineExceeded"} 1');
  if (create === createHttp2Server) {
    open("throw");
    await expect.poll(lines).toContain('llm_d_epp_extproc_streams_total{code="Internal"} 1');
  }
  expect(await lines()).toContain("llm_d_epp_extproc_streams_inflight 0");
});
