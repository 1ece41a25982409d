/** Spec ext-proc section 1.2, row by row. */
import { definePlugin } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import { completion, request, setTo, subset } from "./support/messages.ts";
import { onBothTransports } from "./support/picker.ts";

const destination = "x-gateway-destination-endpoint";
const chat = { ":path": "/v1/completions", ":method": "POST", "x-request-id": "r1" };

/** A completion body of exactly this many bytes. */
function bodyOf(bytes: number): string {
  const frame = completion("", "m");
  return completion("x".repeat(bytes - frame.length), "m");
}

onBothTransports("1.2 the request phase", (start, shared) => {
  const picker = shared({ pods: [{}], plugins: { stamp: { preRequest: stamp } } });

  describe("1.2 rows of the table", () => {
    test("1.2-1 request_headers with end_of_stream: answered at once, with a destination and no Content-Length", async () => {
      const stream = picker().stream(request.headers({ ":path": "/v1/models", "x-request-id": "r" }, true));
      expect(await stream.until(1)).toEqual([
        {
          kind: "requestHeaders",
          set: [[destination, "192.168.1.1:8000"]],
          remove: [],
          clearRouteCache: true,
          metadata: { "envoy.lb": { [destination]: "192.168.1.1:8000" } },
        },
      ]);
    });

    test("1.2-1 request_headers with end_of_stream: chosen at random among all endpoints", async () => {
      const many = await start({ pods: [{ queue: 90 }, { queue: 50 }, {}] });
      const seen = new Set<string | undefined>();
      for (let i = 0; i < 200 && seen.size < 3; i++) {
        seen.add(setTo((await many.stream(request.headers({ ":path": "/" }, true)).until(1))[0], destination));
      }
      expect([...seen].sort()).toEqual(["192.168.1.1:8000", "192.168.1.2:8000", "192.168.1.3:8000"]);
    });

    test("1.2-1 request_headers with end_of_stream and no endpoint: 503, for it is no internal error", async () => {
      const empty = await start({ pods: [] });
      expect(await empty.stream(request.headers({ ":path": "/" }, true)).all()).toEqual([
        {
          kind: "immediateResponse",
          status: 503,
          body: "inference error: ServiceUnavailable - failed to find endpoint candidates for serving the request",
          set: [["x-llm-d-request-dropped-reason", "rejected-no-endpoints"]],
        },
      ]);
    });

    test("1.2-2 request_headers without end_of_stream: nothing is sent yet", async () => {
      const stream = picker().stream(request.headers(chat));
      // The picker has read the message before it reads the next, which is answered.
      stream.send(request.body(completion("a", "m")));
      expect((await stream.until(2)).map(({ kind }) => kind)).toEqual(["requestHeaders", "requestBody"]);
    });

    test("1.2-3 request_body without end_of_stream: nothing is sent, the whole body is sent on at its end", async () => {
      const whole = completion("abcdefgh", "m");
      const stream = picker().stream(request.headers(chat));
      for (const byte of Buffer.from(whole.slice(0, -1))) stream.send(request.body(Uint8Array.of(byte), false));
      stream.send(request.body(whole.slice(-1)));
      const replies = await stream.until(2);
      expect(replies.map(({ kind, body, endOfStream }) => ({ kind, body, endOfStream }))).toEqual([
        { kind: "requestHeaders", body: undefined, endOfStream: undefined },
        { kind: "requestBody", body: whole, endOfStream: true },
      ]);
    });

    test("1.2-4 request_body at its end: metadata of this message counts", async () => {
      const two = await start({ pods: [{}, { queue: 9 }] });
      const stream = two.stream(
        request.headers(chat, false, subset(["192.168.1.1:8000"])),
        request.body(completion("a", "m"), true, subset(["192.168.1.2:8000"])),
      );
      expect(setTo((await stream.until(1))[0], destination)).toBe("192.168.1.2:8000");
    });

    test("1.2-4 request_body at its end: an error is one immediate response", async () => {
      const replies = await picker().stream(request.headers(chat), request.body("{")).all();
      expect(replies.map(({ kind }) => kind)).toEqual(["immediateResponse"]);
    });

    test.each([
      ["an unfinished body", [request.body(completion("a", "m"), false)], false],
      [
        "an unfinished body in pieces",
        [request.body('{"model":"m",', false), request.body('"prompt":"a"}', false)],
        false,
      ],
    ])("1.2-5 request_trailers after %s: they end it, and follow it", async (_name, bodies, end) => {
      const stream = picker().stream(request.headers(chat), ...bodies, request.trailers({ "x-checksum": "1" }));
      const replies = await stream.until(3);
      expect(replies.map(({ kind }) => kind)).toEqual(["requestHeaders", "requestBody", "requestTrailers"]);
      expect(replies[1]!.endOfStream).toBe(end);
    });

    test("1.2-5 request_trailers after an ended body: answered, and nothing is routed twice", async () => {
      const stream = picker().stream(request.headers(chat), request.body(completion("a", "m")));
      await stream.until(2);
      stream.send(request.trailers()).halfClose();
      const replies = await stream.all();
      expect(replies.map(({ kind }) => kind)).toEqual(["requestHeaders", "requestBody", "requestTrailers"]);
      expect(replies[1]!.endOfStream).toBe(true);
    });

    test("1.2-5 request_trailers without any body: no body is answered that was never sent", async () => {
      const reading = await start({
        config: "plugins:\n  - {type: passthrough-parser}\nschedulingProfiles: [{name: default, plugins: []}]\n",
      });
      const stream = reading.stream(request.headers({ ":path": "/upload" }), request.trailers()).halfClose();
      expect((await stream.all()).map(({ kind }) => kind)).toEqual(["requestHeaders", "requestTrailers"]);
    });

    test("1.2-5 request_trailers while the decision waits: answered with it", async () => {
      const waiting = await start({
        plugins: { slow: { produceTimeoutMs: 100, produce: () => new Promise(() => {}) } },
      });
      const body = request.body(completion("a", "m"));
      const stream = waiting.stream(request.headers(chat), body, request.trailers());
      expect((await stream.until(3)).map(({ kind }) => kind)).toEqual([
        "requestHeaders",
        "requestBody",
        "requestTrailers",
      ]);
    });
  });

  describe("1.2 the request id", () => {
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

    test.each([
      ["absent", []],
      ["empty", [["x-request-id", ""]]],
      ["empty in capitals", [["X-Request-Id", ""]]],
    ] as const)("1.2-6 %s: a random one goes to the model server", async (_name, headers) => {
      const ids: string[] = [];
      for (let i = 0; i < 2; i++) {
        const [reply] = await picker().request({ headers }).until(1);
        ids.push(setTo(reply, "x-request-id") ?? "none");
      }
      for (const id of ids) expect(id).toMatch(uuid);
      expect(ids[0]).not.toBe(ids[1]);
    });

    test.each([
      ["lower case", [["x-request-id", "mine"]], "mine"],
      ["capitals", [["X-REQUEST-ID", "mine"]], "mine"],
      [
        "given twice, where the first counts",
        [
          ["x-request-id", "first"],
          ["x-request-id", "second"],
        ],
        "first",
      ],
    ] as const)("1.2-6 given in %s: kept, and left as it is", async (_name, headers, id) => {
      const [reply] = await picker().request({ headers }).until(1);
      expect(setTo(reply, "x-request-id")).toBeUndefined();
      expect(setTo(reply, "x-seen-id")).toBe(id);
    });
  });

  describe("1.2 the request_headers reply", () => {
    test("1.2-7 sets destination first, then Content-Length in this capitalisation, and what plugins add; metadata equals the header", async () => {
      const text = completion("a", "m");
      const [reply] = await picker()
        .request({ headers: { ...chat, hi: "mom" }, body: text })
        .until(1);
      expect(reply).toEqual({
        kind: "requestHeaders",
        set: [
          [destination, "192.168.1.1:8000"],
          ["Content-Length", String(text.length)],
          ["x-seen-id", "r1"],
        ],
        remove: [],
        clearRouteCache: true,
        metadata: { "envoy.lb": { [destination]: "192.168.1.1:8000" } },
      });
    });

    test("1.2-7 Content-Length counts bytes, not characters", async () => {
      const text = completion("\u00e4\u20ac\u{1f600}", "m");
      const [reply, body] = await picker().request({ headers: chat, body: text }).until(2);
      expect(setTo(reply, "Content-Length")).toBe(String(Buffer.byteLength(text)));
      expect(body!.bytes).toBe(Buffer.byteLength(text));
    });

    test("1.2-8 repeated headers, pseudo headers and a traceparent are left as they came", async () => {
      const [reply] = await picker()
        .request({
          headers: [
            ...Object.entries(chat),
            ["cookie", "a=1"],
            ["cookie", "b=2"],
            ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
            ["tracestate", "v=1"],
            ["authorization", "Bearer secret"],
          ],
        })
        .until(1);
      expect(reply!.set!.map(([name]) => name)).toEqual([destination, "Content-Length", "x-seen-id"]);
      expect(reply!.remove).toEqual([]);
    });

    test("1.2-9 several targets: the first is primary, the others are fallbacks, without spaces", async () => {
      const config = `
plugins:
  - {type: queue-scorer}
  - {type: max-score-picker, parameters: {maxNumOfEndpoints: 3}}
  - {type: openai-parser}
requestHandler: {parsers: [{pluginRef: openai-parser}]}
schedulingProfiles:
  - name: default
    plugins: [{pluginRef: queue-scorer}, {pluginRef: max-score-picker}]
`;
      const three = await start({ pods: [{ queue: 4 }, { queue: 0 }, { queue: 2, address: "fd00::3" }], config });
      const [reply] = await three.request({ headers: chat }).until(1);
      expect(setTo(reply, destination)).toBe("192.168.1.2:8000,[fd00::3]:8000,192.168.1.1:8000");
      expect(reply!.metadata).toEqual({ "envoy.lb": { [destination]: setTo(reply, destination) } });
    });

    test.each([
      ["with a body", false],
      ["without a body", true],
    ])("1.2-9 IPv6 has brackets, %s", async (_name, bodyless) => {
      const v6 = await start({ pods: [{ address: "2001:db8::1", port: 9001 }] });
      const stream = bodyless ? v6.stream(request.headers(chat, true)) : v6.request({ headers: chat });
      expect(setTo((await stream.until(1))[0], destination)).toBe("[2001:db8::1]:9001");
    });

    test("1.2-10 scores of all candidates come with --emit-endpoint-scores, and without it no key", async () => {
      const pods = [{ queue: 5 }, { queue: 0 }];
      const scoring = await start({ pods, flags: ["--emit-endpoint-scores"] });
      const [reply] = await scoring.request({ headers: chat }).until(1);
      const lb = reply!.metadata!["envoy.lb"] as Record<string, Record<string, number>>;
      const scores = lb["x-gateway-destination-endpoint-scores"]!;
      expect(Object.keys(scores).sort()).toEqual(["192.168.1.1:8000", "192.168.1.2:8000"]);
      for (const score of Object.values(scores)) expect(score).toBeGreaterThanOrEqual(0);
      expect(scores["192.168.1.2:8000"]).toBeGreaterThan(scores["192.168.1.1:8000"]!);
      expect(lb[destination]).toBe("192.168.1.2:8000");
      const [plain] = await picker().request({ headers: chat }).until(1);
      expect(Object.keys(plain!.metadata!["envoy.lb"] as object)).toEqual([destination]);
    });
  });

  describe("1.2 the request_body replies", () => {
    test.each([
      [1000, [1000]],
      [61_999, [61_999]],
      [62_000, [62_000]],
      [62_001, [62_000, 1]],
      [124_000, [62_000, 62_000]],
      [200_000, [62_000, 62_000, 62_000, 14_000]],
    ])("1.2-11 %d bytes come back in pieces of %j, the end on the last only", async (bytes, pieces) => {
      const text = bodyOf(bytes);
      const replies = (
        await picker()
          .request({ headers: chat, body: text })
          .until(1 + pieces.length)
      ).slice(1);
      expect(replies.map((reply) => reply.bytes)).toEqual(pieces);
      expect(replies.map((reply) => reply.endOfStream)).toEqual(pieces.map((_, i) => i === pieces.length - 1));
      expect(replies.map((reply) => reply.body).join("")).toBe(text);
    });

    test("1.2-11 an empty body is one empty piece with the end, and no Content-Length", async () => {
      const raw = await start({ plugins: { "raw-parser": rawParser }, config: rawConfig });
      const [reply, body, ...more] = await raw.request({ headers: chat, body: "" }).until(2);
      expect(setTo(reply, "Content-Length")).toBeUndefined();
      expect(body).toEqual({ kind: "requestBody", body: "", bytes: 0, endOfStream: true });
      expect(more).toEqual([]);
    });

    test("1.2-12 bytes are the client's, whatever their key order, whitespace and numbers", async () => {
      const text =
        '{ "z":1.0,\t"big": 12345678901234567890 , "model":"m","prompt":"<&>\\u2028\u2028","b":[1e400,-0, 0.10],\r\n"a":{} }';
      const [, body] = await picker().request({ headers: chat, body: text }).until(2);
      expect(Buffer.from(body!.body!, "latin1").toString()).toBe(text);
    });

    test("1.2-12 a rewritten model changes its value, and not one other byte", async () => {
      const text =
        '{ "z":1.0, "big":12345678901234567890,"model" :  "m" ,"prompt":"\\"model\\":\\"m\\" <&>","nested":{"model":"m"},"model2":"m" }';
      const [reply, body] = await picker()
        .request({ headers: { ...chat, "x-llm-d-model-name-rewrite": "tuned-\u00c3\u00a4" }, body: text })
        .until(2);
      const expected = text.replace('"model" :  "m"', '"model" :  "tuned-\u00e4"');
      expect(Buffer.from(body!.body!, "latin1").toString()).toBe(expected);
      expect(setTo(reply, "Content-Length")).toBe(String(Buffer.byteLength(expected)));
    });

    test("1.2-12 nothing is added: no stream_options, and tokens stay", async () => {
      const text = '{"model":"m","prompt":"a","stream":true,"tokens":[1,2]}';
      const [, body] = await picker().request({ headers: chat, body: text }).until(2);
      expect(body!.body).toBe(text);
    });
  });
});

/** Shows the request id that the picker goes by. */
function stamp(req: { readonly id: string; readonly upstreamHeaders: Map<string, string> }): undefined {
  req.upstreamHeaders.set("x-seen-id", req.id);
}

/** Takes any bytes. */
const rawParser = definePlugin({
  type: "raw-parser",
  kind: "parser",
  stability: "stable",
  summary: "Takes any bytes.",
  create: () => ({
    claims: [],
    appProtocols: [],
    parseRequest: () => ({
      ...{ model: undefined, stream: false, maxOutputTokens: undefined, cacheSalt: undefined },
      promptSegments: () => [],
      promptTokenIds: () => undefined,
    }),
    responseReader: () => ({ chunk: (bytes) => bytes, usage: undefined, events: 0 }),
  }),
});
const rawConfig = `
plugins:
  - {type: queue-scorer}
  - {type: raw-parser}
requestHandler: {parsers: [{pluginRef: raw-parser}]}
schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]
`;
