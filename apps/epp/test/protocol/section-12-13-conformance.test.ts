/** Spec ext-proc sections 12 and 13: what the protocol demands, and where the Go picker is weak. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { type PluginInstance, RequestError } from "@pointsman/core";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "@pointsman/proto/health";
import { describe, expect, test } from "vitest";
import { connect, ExtProcStream } from "./support/ext-proc-stream.ts";
import { completion, request, response, setTo, subset } from "./support/messages.ts";
import { eventually, onBothTransports, type Picker } from "./support/picker.ts";

const destination = "x-gateway-destination-endpoint";

/** Status of a service; 1 is serving. */
async function health(port: number, service: string): Promise<number> {
  const client = connect(port);
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes).status as number,
        Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }))),
        new Metadata(),
        (error, status) => (error === null ? resolve(status!) : reject(error)),
      );
    });
  } finally {
    client.close();
  }
}

onBothTransports("12 the protocol", (start) => {
  test.each([
    ["an empty list", []],
    ["nobody of ours", ["10.9.9.9:1"]],
  ])("12-1 the subset is honoured or answered with 503: %s", async (_name, hint) => {
    const picker = await start();
    expect((await picker.request({ metadata: subset(hint) }).all())[0]!.status).toBe(503);
  });

  test("12-2 header and metadata name the same endpoints", async () => {
    const picker = await start({ pods: [{}, {}] });
    const [reply] = await picker.request().until(1);
    expect(reply!.metadata).toEqual({ "envoy.lb": { [destination]: setTo(reply, destination) } });
  });

  test("12-3 no ready endpoint is 503, a shed request 429", async () => {
    const empty = await start({ pods: [] });
    expect((await empty.request().all())[0]!.status).toBe(503);
    const shedding = await start({
      plugins: { shedder: { admitRequest: () => new RequestError("ResourceExhausted", "full", "rejected-saturated") } },
    });
    expect((await shedding.request().all())[0]!.status).toBe(429);
  });

  test("12-4 who served is told to plugins, whatever the metadata says beside it", async () => {
    const seen: (string | undefined)[] = [];
    const picker = await start({
      plugins: { watcher: { responseHeaders: (_request, _result, { servedBy }) => void seen.push(servedBy) } },
    });
    for (const metadata of [
      { "envoy.lb": { "x-gateway-destination-endpoint-served": "192.168.1.1:8000", other: 1 } },
      { "envoy.lb": { "x-gateway-destination-endpoint-served": 7 } },
      { "envoy.lb": {} },
      {},
    ]) {
      await picker
        .stream(request.headers({}), request.body(completion("a", "m")), response.headers({}, false, metadata))
        .until(3);
    }
    expect(seen).toEqual(["192.168.1.1:8000", undefined, undefined, undefined]);
  });

  test.each(["liveness", "readiness", "envoy.service.ext_proc.v3.ExternalProcessor", "inference-extension", ""])(
    "12-5 the health service knows %j",
    async (service) => {
      const picker = await start();
      expect(await health(picker.ports.health, service)).toBe(1);
    },
  );
});

onBothTransports("13 where the Go picker is weak", (start) => {
  test("13-3 a look-alike of a hint does not open the pool to others", async () => {
    const picker = await start({ pods: [{}, {}] });
    expect((await picker.request({ metadata: subset([1]) }).all())[0]!.status).toBe(503);
    await picker.request().until(2);
    expect((await picker.request({ metadata: subset([1]) }).all())[0]!.status).toBe(503);
  });

  test("13-6 an error of an admission plugin keeps its code when it is thrown, too", async () => {
    const picker = await start({
      plugins: {
        thrower: {
          admitRequest: () => {
            throw new RequestError("ResourceExhausted", "over quota", "rejected-saturated");
          },
        },
      },
    });
    expect((await picker.request().all())[0]).toMatchObject({
      status: 429,
      body: "inference error: ResourceExhausted - over quota",
      set: [["x-llm-d-request-dropped-reason", "rejected-saturated"]],
    });
  });

  test("13-6 refusals come as JSON with --error-format=json", async () => {
    const picker = await start({ pods: [], flags: ["--error-format=json"] });
    const [reply] = await picker.request().all();
    expect(reply).toMatchObject({
      status: 503,
      set: [
        ["content-type", "application/json"],
        ["x-llm-d-request-dropped-reason", "rejected-no-endpoints"],
      ],
    });
    expect(JSON.parse(reply!.body!)).toEqual({
      error: {
        message: "failed to find endpoint candidates for serving the request",
        type: "ServiceUnavailable",
        param: null,
        code: 503,
      },
    });
  });

  test("13-7 at a drain, open requests go on, readiness and the ext_proc name fail, liveness stays", async () => {
    const picker = await start({ flags: ["--drain-timeout=20s", "--health-checking"] });
    const stream = picker.request();
    await stream.until(2);
    const draining = picker.process.drain();
    expect(await health(picker.ports.health, "liveness")).toBe(1);
    for (const service of ["readiness", "envoy.service.ext_proc.v3.ExternalProcessor"]) {
      expect(await health(picker.ports.health, service)).toBe(2);
    }
    stream.send(response.headers({ ":status": "200" }), response.body("{}", true));
    expect((await stream.until(4)).map(({ kind }) => kind)).toEqual([
      "requestHeaders",
      "requestBody",
      "responseHeaders",
      "responseBody",
    ]);
    stream.halfClose();
    await stream.all();
    await draining;
  });

  test("13-8 claims match whole path segments", async () => {
    const picker = await start();
    const [reply] = await picker.request({ headers: { ":path": "/v1/recompletions" } }).all();
    expect(reply!.status).toBe(400);
    await picker.request({ headers: { ":path": "/tenant/a/v1/completions/" } }).until(2);
  });

  test("13-8 nothing is written to standard output", async () => {
    const written: unknown[] = [];
    const write = process.stdout.write;
    process.stdout.write = ((chunk: unknown) => written.push(chunk) > 0) as typeof process.stdout.write;
    try {
      const picker = await start();
      await picker.stream(request.headers({}), request.body(completion("a", "m")), response.headers({}, true)).until(3);
    } finally {
      process.stdout.write = write;
    }
    expect(written).toEqual([]);
  });

  describe("13 seen by running", () => {
    test("13-9 request_headers without a header map ends that stream, and others go on", async () => {
      const picker = await start();
      const other = picker.stream(request.headers({}));
      const status = await picker.stream({ request: { case: "requestHeaders", value: {} } }).end();
      expect(status).toMatchObject({ code: 3, details: "request_headers without headers" });
      await other.send(request.body(completion("a", "m"))).until(2);
    });

    test("13-10 two endpoints of one name in different namespaces leave the metrics page readable", async () => {
      const picker = await start({ pods: [{ namespace: "a" }, { namespace: "b", address: "192.168.1.9" }] });
      // One name for both.
      for (const id of ["a/pod-0-rank-0", "b/pod-1-rank-0"]) {
        const endpoint = picker.datastore.get(id)!;
        picker.datastore.upsert({ ...endpoint.metadata, name: "same" });
      }
      await picker.request().until(2);
      const page = await fetch(`http://127.0.0.1:${picker.ports.metrics}/metrics`);
      expect(page.status).toBe(200);
      expect(await page.text()).toContain('llm_d_epp_known_endpoints{name="vllm-qwen3-32b-pool"} 2');
    });

    test("13-11 a burst of cancelled streams costs nobody else", async () => {
      const picker = await start();
      const other = picker.stream(request.headers({}));
      for (let i = 0; i < 500; i++) new ExtProcStream(picker.client).send(request.headers({})).cancel();
      await other.send(request.body(completion("a", "m"))).until(2);
      await eventually(() => running(picker)).toBe(1);
    });

    test("13-11 hundreds of open streams cost nobody else", async () => {
      const picker = await start();
      const idle = Array.from({ length: 500 }, () => picker.stream(request.headers({})));
      const stream = picker.request();
      await stream.until(2);
      for (const open of idle) open.cancel();
    });

    test("13-11 malformed HTTP/2 on another connection costs nobody else", async () => {
      const picker = await start();
      const stream = picker.stream(request.headers({}));
      const answer = await fetch(`http://127.0.0.1:${picker.ports.extProc}/`).catch((error: unknown) => error);
      expect(answer).toBeDefined();
      await stream.send(request.body(completion("a", "m"))).until(2);
    });
  });
});

onBothTransports("13 work that nobody needs", (start) => {
  const noReaders = `
plugins:
  - {type: random-picker}
  - {type: openai-parser}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: random-picker}]}]
`;
  const flags = ["--request-metrics=false"];
  const withPlugin = noReaders.replace("plugins:", "plugins:\n  - {type: reader}");

  test("13-12 by default, bodies are read and answers seen: request metrics need them", async () => {
    const picker = await start({ config: noReaders });
    expect((await picker.request({ body: "no JSON" }).all())[0]!.status).toBe(400);
    const stream = picker.request();
    await stream.until(2);
    await stream.send(response.headers({ ":status": "200" }, true)).until(3);
  });

  test("13-12 with --request-metrics=false and no reader: any bytes pass, and the stream ends after the replies", async () => {
    const picker = await start({ config: noReaders, flags });
    const replies = await picker.request({ body: "no JSON" }).all();
    expect(replies.map(({ kind, body }) => [kind, body])).toEqual([
      ["requestHeaders", undefined],
      ["requestBody", "no JSON"],
    ]);
    const [bodyless, ...more] = await picker.stream(request.headers({ ":path": "/v1/models" }, true)).all();
    expect(bodyless!.kind).toBe("requestHeaders");
    expect(more).toEqual([]);
    expect(await picker.metric("llm_d_epp_request_total", { model_name: "" })).toBe(1);
    expect(await picker.metric("llm_d_epp_request_running")).toBe(0);
  });

  test("13-12 an unknown path is refused all the same", async () => {
    const picker = await start({ config: noReaders, flags });
    expect((await picker.request({ headers: { ":path": "/v2/nothing" } }).all())[0]!.status).toBe(400);
  });

  test("13-12 a rewrite header has its request read and its answer seen", async () => {
    const picker = await start({ config: noReaders, flags });
    const stream = picker.request({ headers: { "x-llm-d-model-name-rewrite": "tuned" }, body: completion("a", "m") });
    expect((await stream.until(2))[1]!.body).toBe(completion("a", "tuned"));
    stream.send(response.headers({ "content-type": "application/json" }), response.body('{"model":"tuned"}', true));
    expect((await stream.until(4))[3]!.body).toBe('{"model":"m"}');
  });

  test.each([
    ["response bodies", { responseBody: () => {} }],
    ["response headers", { responseHeaders: () => {} }],
  ] as readonly (readonly [string, PluginInstance])[])(
    "13-12 a plugin that sees %s has answers seen",
    async (_name, reader) => {
      const picker = await start({ config: withPlugin, flags, plugins: { reader } });
      const stream = picker.request();
      await stream.until(2);
      await stream.send(response.headers({ ":status": "200" }), response.body("{}", true)).until(4);
    },
  );

  test("13-12 a scorer that goes by the model has bodies read", async () => {
    const config = noReaders
      .replace("plugins:", "plugins:\n  - {type: lora-affinity-scorer}")
      .replace("{pluginRef: random-picker}", "{pluginRef: lora-affinity-scorer}, {pluginRef: random-picker}");
    const picker = await start({ config, flags });
    expect((await picker.request({ body: "no JSON" }).all())[0]!.status).toBe(400);
  });
});

/** Requests routed and not finished. */
function running(picker: Picker): Promise<number> {
  return picker.metric("llm_d_epp_request_running");
}
