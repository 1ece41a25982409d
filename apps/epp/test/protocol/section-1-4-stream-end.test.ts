/** Spec ext-proc sections 1.1 and 1.4: the transport, the order of replies, and how streams end. */
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { compressionAlgorithms } from "@grpc/grpc-js";
import { type AnyPluginDefinition, definePlugin, InFlightRequests, type TerminationCause } from "@pointsman/core";
import { ProcessingRequestSchema } from "@pointsman/proto/ext-proc";
import { describe, expect, test } from "vitest";
import { connect, ExtProcStream } from "./support/ext-proc-stream.ts";
import { completion, request, response } from "./support/messages.ts";
import { eventually, onBothTransports } from "./support/picker.ts";

const ok = { code: 0, details: expect.anything() as string };
const routed = [request.headers({ ":path": "/v1/completions" }), request.body(completion("a", "m"))] as const;

/** Says how answers ended. */
function causes(seen: (TerminationCause | undefined)[]) {
  return {
    responseBody: (
      _request: unknown,
      _result: unknown,
      event: { endOfStream: boolean; terminationCause: TerminationCause | undefined },
    ) => {
      if (event.endOfStream) seen.push(event.terminationCause);
    },
  };
}

onBothTransports("1.1 the transport", (start, shared) => {
  const picker = shared();

  test("1.1-1 a message of the default limit passes, one above ends its stream with RESOURCE_EXHAUSTED", async () => {
    const mebibytes = 1024 * 1024;
    const filling = completion("x".repeat(4 * mebibytes - 200), "m");
    const stream = picker().stream(request.headers({}), request.body(filling));
    expect((await stream.until(2)).map(({ kind }) => kind)).toEqual(["requestHeaders", "requestBody"]);
    const over = picker().stream(request.headers({}), request.body(completion("x".repeat(5 * mebibytes), "m")));
    expect((await over.end()).code).toBe(8);
    expect((await picker().request().until(2)).length).toBe(2);
  });

  test("1.1-1 the limit is that of --grpc-max-recv-msg-size, for each message", async () => {
    const small = await start({ flags: ["--grpc-max-recv-msg-size=2Ki"] });
    const stream = small.stream(request.headers({}));
    for (let i = 0; i < 20; i++)
      stream.send(request.body(`${i === 0 ? '{"model":"m","prompt":"' : ""}${"x".repeat(1000)}`, false));
    stream.send(request.body('"}'));
    await stream.until(2);
    expect((await small.stream(request.headers({}), request.body("x".repeat(3000))).end()).code).toBe(8);
  });

  test("1.1-2 a body of 20 MB in messages of 1 MB passes", async () => {
    const piece = "x".repeat(1024 * 1024);
    const stream = picker().stream(request.headers({}), request.body('{"model":"m","prompt":"', false));
    for (let i = 0; i < 20; i++) stream.send(request.body(piece, false));
    stream.send(request.body('"}'));
    const bytes = 20 * piece.length + 25;
    const replies = await stream.until(1 + Math.ceil(bytes / 62_000));
    expect(replies.slice(1).reduce((sum, reply) => sum + reply.bytes!, 0)).toBe(bytes);
  });

  test("1.1-3 messages in gzip are accepted", async () => {
    const packing = await start({ channel: { "grpc.default_compression_algorithm": compressionAlgorithms.gzip } });
    const text = completion("x".repeat(10_000), "m");
    const [, body] = await packing.request({ body: text }).until(2);
    expect(body!.body).toBe(text);
  });

  test("1.1-4 many streams of one connection do not mix", async () => {
    const streams = Array.from({ length: 100 }, (_, i) => ({
      i,
      stream: picker().stream(request.headers({ "x-request-id": `r${i}` })),
    }));
    for (const { i, stream } of streams.reverse()) stream.send(request.body(completion(`prompt ${i}`, "m")));
    for (const { i, stream } of streams) expect((await stream.until(2))[1]!.body).toBe(completion(`prompt ${i}`, "m"));
  });
});

onBothTransports("1.4 send order and stream end", (start, shared) => {
  const picker = shared();

  test("1.4-1 messages that come at once are answered in Envoy's order", async () => {
    const stream = picker().stream(
      ...routed,
      request.trailers(),
      response.headers({ ":status": "200" }),
      response.body("{"),
      response.body("}"),
      response.trailers(),
    );
    expect((await stream.until(6)).map(({ kind }) => kind)).toEqual([
      "requestHeaders",
      "requestBody",
      "requestTrailers",
      "responseHeaders",
      "responseBody",
      "responseTrailers",
    ]);
  });

  test("1.4-2 response_headers before the request is whole end the request phase", async () => {
    const stream = picker().stream(
      request.headers({}),
      request.body('{"model":', false),
      response.headers({ ":status": "413" }, true),
    );
    expect((await stream.until(1))[0]!.kind).toBe("responseHeaders");
    stream.send(request.body('"m"}')).halfClose();
    expect(await stream.all()).toHaveLength(1);
  });

  describe("1.4 how a stream ends", () => {
    test.each([
      ["before any message", []],
      ["after the headers", [request.headers({})]],
      ["within the body", [request.headers({}), request.body("{", false)]],
    ])("1.4-3 half close %s: OK, no message", async (_name, messages) => {
      const stream = picker()
        .stream(...messages)
        .halfClose();
      expect(await stream.end()).toEqual(ok);
      expect(stream.replies).toEqual([]);
    });

    test("1.4-3 half close after a whole exchange: OK", async () => {
      const seen: (TerminationCause | undefined)[] = [];
      const watched = await start({ plugins: { watcher: causes(seen) } });
      const stream = watched.stream(...routed, response.headers({ ":status": "200" }), response.body("{}", true));
      await stream.until(4);
      stream.halfClose();
      expect(await stream.end()).toEqual(ok);
      expect(seen).toEqual(["natural"]);
    });

    test("1.4-3 half close before the answer is whole: OK, and plugins learn that the client left", async () => {
      const seen: (TerminationCause | undefined)[] = [];
      const watched = await start({ plugins: { watcher: causes(seen) } });
      const stream = watched.stream(...routed, response.headers({ ":status": "200" }), response.body("{", false));
      await stream.until(3);
      stream.halfClose();
      expect(await stream.end()).toEqual(ok);
      expect(seen).toEqual(["client-disconnect"]);
    });

    test("1.4-4 cancel: the picker goes on, and plugins learn of it", async () => {
      const seen: (TerminationCause | undefined)[] = [];
      const watched = await start({ plugins: { watcher: causes(seen) } });
      const stream = watched.stream(...routed);
      await stream.until(2);
      stream.cancel();
      expect((await stream.end()).code).toBe(1);
      await eventually(() => seen).toEqual(["client-disconnect"]);
      await watched.request().until(2);
    });

    test("1.4-5 deadline: DEADLINE_EXCEEDED, and plugins learn of it", async () => {
      const seen: (TerminationCause | undefined)[] = [];
      const watched = await start({ plugins: { watcher: causes(seen) } });
      const stream = new ExtProcStream(watched.client, { deadline: Date.now() + 3000 });
      stream.send(...routed);
      await stream.until(2);
      expect((await stream.end()).code).toBe(4);
      await eventually(() => seen).toEqual(["client-disconnect"]);
    });

    test("1.4-6 a connection that breaks ends its streams, and those of no other", async () => {
      const seen: (TerminationCause | undefined)[] = [];
      const watched = await start({ plugins: { watcher: causes(seen) } });
      const other = watched.stream(request.headers({}));
      const relay = await startRelay(watched.ports.extProc);
      const client = connect(relay.port);
      const stream = new ExtProcStream(client).send(...routed);
      await stream.until(2);
      relay.cut();
      expect((await stream.end()).code).toBe(14);
      client.close();
      await eventually(() => seen).toEqual(["client-disconnect"]);
      await other.send(routed[1]).until(2);
    });

    const malformed: readonly (readonly [string, Uint8Array, string])[] = [
      [
        "request_headers without a header map",
        message({ case: "requestHeaders", value: {} }),
        "request_headers without headers",
      ],
      [
        "response_headers without a header map",
        message({ case: "responseHeaders", value: {} }),
        "response_headers without headers",
      ],
      ["a message of no known kind", new Uint8Array(0), "ProcessingRequest without a known request"],
      ["bytes that are no protobuf", Uint8Array.of(0x0a, 0xff), "malformed ProcessingRequest"],
    ];
    test.each(malformed)("1.4-7 %s: INVALID_ARGUMENT, and the process goes on", async (_name, bytes, text) => {
      const status = await picker().stream().raw(bytes).end();
      expect(status.code).toBe(3);
      expect(status.details).toContain(text);
      await picker().request().until(2);
    });

    test("1.4-8 a request-phase error: one immediate response, then OK", async () => {
      const stream = picker().stream(request.headers({}), request.body("no healthy upstream"));
      expect((await stream.all()).map(({ kind }) => kind)).toEqual(["immediateResponse"]);
    });

    test("1.4-9 a parser that asks to skip the answer: header and body replies, then OK", async () => {
      const seen: (TerminationCause | undefined)[] = [];
      const config = `
plugins:
  - {type: queue-scorer}
  - {type: skipping-parser}
  - {type: watcher}
requestHandler: {parsers: [{pluginRef: skipping-parser}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]
`;
      const skipping = await start({ config, plugins: { "skipping-parser": skippingParser, watcher: causes(seen) } });
      const replies = await skipping.stream(request.headers({}), request.body("anything")).all();
      expect(replies.map(({ kind, body }) => [kind, body])).toEqual([
        ["requestHeaders", undefined],
        ["requestBody", "anything"],
      ]);
      expect(seen).toEqual(["error"]);
    });

    test("1.4-10 eviction: an immediate 429, then OK", async () => {
      const inFlight = new InFlightRequests();
      const evicting = await start({ inFlight });
      const stream = evicting.stream(...routed);
      await stream.until(2);
      expect([...inFlight][0]!.evict()).toBe(true);
      expect((await stream.all())[2]).toEqual({
        kind: "immediateResponse",
        status: 429,
        body: "request evicted by flow control",
        set: [["x-llm-d-request-dropped-reason", "evicted"]],
      });
    });

    test.each([
      ["requestHeaders", 500],
      ["admitRequest", 500],
      ["preRequest", 500],
      ["screen", 503],
      ["produce", undefined],
      ["responseHeaders", undefined],
      ["responseBody", undefined],
    ] as const)(
      "1.4-11 a plugin that throws in %s costs at most its request, and is named in the log",
      async (hook, status) => {
        const broken = await start({
          plugins: {
            "broken-plugin": {
              [hook]: () => {
                throw new TypeError("x is not a function");
              },
            },
          },
        });
        const stream = broken.stream(...routed);
        const [reply] = await stream.until(1);
        expect(reply!.status).toBe(status);
        if (status === undefined) {
          stream.send(response.headers({ ":status": "200" }), response.body("{}", true));
          expect((await stream.until(4))[3]!.body).toBe("{}");
        }
        expect(broken.log.some(({ level, fields }) => level === "error" && fields["plugin"] === "broken-plugin")).toBe(
          true,
        );
      },
    );
  });
});

function message(value: { case: "requestHeaders" | "responseHeaders"; value: object }): Uint8Array {
  return toBinary(ProcessingRequestSchema, create(ProcessingRequestSchema, { request: value }));
}

/** Passes bytes on until it is cut. */
async function startRelay(to: number): Promise<{ readonly port: number; cut(): void }> {
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connectTcp(to, "127.0.0.1");
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on("error", () => {});
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    // It listens on TCP, so this is no pipe's name.
    port: (server.address() as AddressInfo).port,
    cut() {
      server.close();
      for (const socket of sockets) socket.resetAndDestroy();
    },
  };
}

const skippingParser: AnyPluginDefinition = definePlugin({
  type: "skipping-parser",
  kind: "parser",
  stability: "stable",
  summary: "Wants no answers.",
  create: () => ({
    claims: [],
    appProtocols: [],
    parseRequest: () => ({
      ...{ model: undefined, stream: false, maxOutputTokens: undefined, cacheSalt: undefined, skipResponse: true },
      promptSegments: () => [],
      promptTokenIds: () => undefined,
    }),
    responseReader: () => ({ chunk: (bytes) => bytes, usage: undefined, events: 0 }),
  }),
});
