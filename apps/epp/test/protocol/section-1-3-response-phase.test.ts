/** Spec ext-proc section 1.3, row by row. */
import type { PluginInstance, ResponseBodyEvent, ResponseHeadersEvent } from "@pointsman/core";
import { beforeEach, describe, expect, test } from "vitest";
import type { ExtProcStream } from "./support/ext-proc-stream.ts";
import { completion, type Message, request, response } from "./support/messages.ts";
import { onBothTransports } from "./support/picker.ts";

const json = { ":status": "200", "content-type": "application/json" };
const sse = { ":status": "200", "content-type": "text/event-stream" };
const passed = {
  kind: "responseHeaders",
  set: [["x-went-into-resp-headers", "true"]],
  remove: [],
  clearRouteCache: false,
};
const routed = [request.headers({ ":path": "/v1/completions" }), request.body(completion("a", "m"))] as const;
const rewritten = [
  request.headers({ ":path": "/v1/completions", "x-llm-d-model-name-rewrite": "tuned" }),
  request.body(completion("a", "m")),
] as const;

/** What the test's plugin saw. */
const headerEvents: ResponseHeadersEvent[] = [];
const bodyEvents: ResponseBodyEvent[] = [];
const watcher: PluginInstance = {
  responseHeaders: (_request, _result, event) => void headerEvents.push(event),
  responseBody: (_request, _result, event) => void bodyEvents.push(event),
};
beforeEach(() => {
  headerEvents.length = 0;
  bodyEvents.length = 0;
});

/** Closes a finished exchange and waits until the picker has closed it, so that its metrics are counted. */
async function finish(stream: ExtProcStream): Promise<void> {
  stream.halfClose();
  await stream.all();
}

onBothTransports("1.3 the response phase", (start, shared) => {
  const picker = shared({ plugins: { watcher } });

  describe("1.3 rows of the table", () => {
    test("1.3-1 response_headers: the mark is set, everything else is left as it came", async () => {
      const stream = picker().stream(...routed);
      await stream.until(2);
      stream.send(response.headers([...Object.entries(json), ["set-cookie", "a=1"], ["set-cookie", "b=2"]]));
      expect((await stream.until(3))[2]).toEqual(passed);
    });

    test("1.3-1 response_headers: metadata of this message tells plugins who served", async () => {
      const served = { "envoy.lb": { "x-gateway-destination-endpoint-served": "192.168.1.1:8000" } };
      const stream = picker().stream(...routed, response.headers(json, false, served));
      await stream.until(3);
      expect(headerEvents).toMatchObject([{ servedBy: "192.168.1.1:8000", status: 200, proxyMetadata: served }]);
    });

    test("1.3-1 response_headers without metadata: nobody is said to have served", async () => {
      await picker()
        .stream(...routed, response.headers(json))
        .until(3);
      expect(headerEvents[0]!.servedBy).toBeUndefined();
    });

    test("1.3-1 response_headers: headers that plugins add reach the client", async () => {
      const adding = await start({
        plugins: {
          adder: {
            responseHeaders: (_request, _result, { setHeaders }) => void setHeaders.set("x-session-token", "t"),
          },
        },
      });
      const replies = await adding.stream(...routed, response.headers(json)).until(3);
      expect(replies[2]!.set).toEqual([
        ["x-went-into-resp-headers", "true"],
        ["x-session-token", "t"],
      ]);
    });

    test.each([
      [{ ":status": "200" }, 0],
      [{ ":status": "201" }, 0],
      [{ ":status": "400" }, 1],
      [{ ":status": "503" }, 1],
      [{ status: "500" }, 1],
      [{ status: "200" }, 0],
    ])("1.3-1 response_headers with %j count %d model server errors", async (status, errors) => {
      const counting = await start();
      const stream = counting.stream(
        ...routed,
        response.headers(status as Record<string, string>),
        response.body("{}", true),
      );
      await stream.until(4);
      await finish(stream);
      expect(await counting.metric("llm_d_epp_request_error_total", { error_code: "ModelServerError" })).toBe(errors);
    });

    test("1.3-1 a status in `value` instead of `raw_value` is read too", async () => {
      const counting = await start();
      const headers = [{ key: ":status", value: "503" }];
      const stream = counting.stream(...routed, {
        request: { case: "responseHeaders", value: { headers: { headers }, endOfStream: true } },
      });
      await stream.until(3);
      await finish(stream);
      expect(await counting.metric("llm_d_epp_request_error_total", { error_code: "ModelServerError" })).toBe(1);
    });

    test("1.3-2 response_body of a stream: each chunk is answered with its bytes, the end is copied", async () => {
      const stream = picker().stream(...routed, response.headers(sse));
      let count = 3;
      for (const [text, end] of [
        ["data: 1\n\n", false],
        ["data: [DO", false],
        ["NE]\n\n", false],
        ["", true],
      ] as const) {
        stream.send(response.body(text, end));
        const reply = (await stream.until(++count))[count - 1];
        expect(reply).toEqual({ kind: "responseBody", body: text, bytes: text.length, endOfStream: end });
      }
      expect(bodyEvents.map(({ chunkBytes, endOfStream }) => [chunkBytes, endOfStream])).toEqual([
        [9, false],
        [9, false],
        [5, false],
        [0, true],
      ]);
    });

    test.each([
      ["a stream", sse],
      ["a JSON answer", json],
    ])("1.3-2 a large chunk of %s is split at 62000, the end on the last piece", async (_name, headers) => {
      const stream = picker().stream(...routed, response.headers(headers), response.body("x".repeat(124_001), true));
      const pieces = (await stream.until(6)).slice(3);
      expect(pieces.map(({ bytes, endOfStream }) => [bytes, endOfStream])).toEqual([
        [62_000, false],
        [62_000, false],
        [1, true],
      ]);
    });

    test("1.3-3 response_body that is no stream: held back, and answered as one", async () => {
      const stream = picker().stream(...routed, response.headers(json));
      stream.send(
        response.body('{"usage":{"prompt_'),
        response.body('tokens":3,"completion_tokens":4}'),
        response.body("}", true),
      );
      const replies = await stream.until(4);
      expect(replies[3]).toMatchObject({
        body: '{"usage":{"prompt_tokens":3,"completion_tokens":4}}',
        endOfStream: true,
      });
      await finish(stream);
      expect(stream.replies).toHaveLength(4);
      expect(bodyEvents).toHaveLength(1);
      expect(bodyEvents[0]).toMatchObject({
        startOfStream: true,
        usage: { promptTokens: 3, completionTokens: 4, totalTokens: 7 },
      });
    });

    test("1.3-4 response_trailers of a JSON answer: the body without its end, then the trailers", async () => {
      const stream = picker().stream(...routed, response.headers(json), response.body("{"), response.body("}"));
      stream.send(response.trailers({ "grpc-status": "0" }));
      const replies = await stream.until(5);
      expect(replies.slice(3)).toEqual([
        { kind: "responseBody", body: "{}", bytes: 2, endOfStream: false },
        { kind: "responseTrailers" },
      ]);
    });

    test("1.3-4 response_trailers of a stream: the trailers alone", async () => {
      const stream = picker().stream(
        ...routed,
        response.headers(sse),
        response.body("data: 1\n\n"),
        response.trailers(),
      );
      expect((await stream.until(5)).slice(3).map(({ kind }) => kind)).toEqual(["responseBody", "responseTrailers"]);
    });

    test("1.3-4 response_trailers after an ended body: answered, and the answer ends once", async () => {
      const stream = picker().stream(
        ...routed,
        response.headers(sse),
        response.body("data: 1\n\n", true),
        response.trailers(),
      );
      await stream.until(5);
      await finish(stream);
      expect(bodyEvents.filter(({ endOfStream }) => endOfStream)).toHaveLength(1);
    });
  });

  const flags = [false, true];
  const matrix = flags.flatMap((stream) =>
    flags.flatMap((events) => flags.map((trailers) => ({ stream, events, trailers }))),
  );
  test.each(matrix)(
    "1.3-5 stream flag $stream, event stream $events, trailers $trailers: one end of stream for the plugins",
    async ({ stream, events, trailers }) => {
      const text = events ? "data: 1\n\n" : "{}";
      const opened = picker().stream(
        routed[0],
        request.body(`{"model":"m","prompt":"a","stream":${stream}}`),
        response.headers(events ? sse : json),
        response.body(text),
        ...(trailers ? [response.trailers()] : [response.body("", true)]),
      );
      // An answer that is no stream is one piece; a stream keeps its pieces.
      const pieces = events && !trailers ? 2 : 1;
      const replies = (await opened.until(3 + pieces + (trailers ? 1 : 0))).slice(3);
      await finish(opened);
      expect(replies.map(({ body }) => body ?? "").join("")).toBe(text);
      expect(replies.filter(({ endOfStream }) => endOfStream === true)).toHaveLength(trailers ? 0 : 1);
      expect(replies.at(-1)!.kind).toBe(trailers ? "responseTrailers" : "responseBody");
      const ends = bodyEvents.filter(({ endOfStream }) => endOfStream);
      expect(ends.map(({ terminationCause }) => terminationCause)).toEqual(["natural"]);
      expect(bodyEvents.filter(({ startOfStream }) => startOfStream)).toHaveLength(1);
    },
  );

  test("1.3-5 an answer without content type follows the request's stream flag", async () => {
    const stream = picker().stream(routed[0], request.body('{"model":"m","prompt":"a","stream":true}'));
    stream.send(response.headers({ ":status": "200" }), response.body("data: 1\n\n"));
    expect((await stream.until(4))[3]).toMatchObject({ body: "data: 1\n\n", endOfStream: false });
  });

  test("1.3-5 an error in JSON to a streaming request is read as JSON", async () => {
    const stream = picker().stream(routed[0], request.body('{"model":"m","prompt":"a","stream":true}'));
    stream.send(response.headers({ ...json, ":status": "500" }), response.body('{"err'), response.body('or":1}', true));
    const replies = await stream.until(4);
    expect(replies[3]).toMatchObject({ body: '{"error":1}', endOfStream: true });
  });

  describe("1.3 metadata of body plugins", () => {
    const reporter: PluginInstance = {
      responseBody: (_request, _result, { endOfStream, usage, setDynamicMetadata }) => {
        if (!endOfStream) return;
        setDynamicMetadata("envoy.lb", "x-gateway-inference-request-cost", usage?.completionTokens ?? 0);
        setDynamicMetadata("other", "key", "value");
      },
    };
    const metadata = { "envoy.lb": { "x-gateway-inference-request-cost": 10 }, other: { key: "value" } };
    const usage = '{"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}}';
    const reporting = shared({ plugins: { reporter } });

    test.each([
      ["a JSON answer", [response.headers(json), response.body(usage, true)]],
      ["a JSON answer with trailers", [response.headers(json), response.body(usage), response.trailers()]],
      [
        "a stream",
        [response.headers(sse), response.body(`data: ${usage}\n\n`), response.body("data: [DONE]\n\n", true)],
      ],
      ["a stream with trailers", [response.headers(sse), response.body(`data: ${usage}\n\n`), response.trailers()]],
    ] as const)("1.3-6 of %s comes once, with its last reply", async (_name, messages) => {
      const stream = reporting().stream(...routed, ...messages);
      await stream.until(2 + messages.length);
      await finish(stream);
      const carrying = stream.replies.filter((reply) => reply.metadata !== undefined).slice(1);
      expect(carrying.map((reply) => reply.metadata)).toEqual([metadata]);
    });
  });

  describe("1.3 the model's name in answers", () => {
    const cases: readonly (readonly [string, Record<string, string>, readonly string[], string])[] = [
      ["JSON, whole", json, ['{"model":"tuned","x":"tuned"}'], '{"model":"m","x":"tuned"}'],
      ["JSON with spaces", json, ['{ "model" :  "tuned" }'], '{ "model" :  "m" }'],
      ["JSON, cut in the name", json, ['{"model":"tu', 'ned"}'], '{"model":"m"}'],
      [
        "a stream",
        sse,
        ['data: {"model":"tuned"}\n\n', 'data: {"model":"tuned"}\n\n'],
        'data: {"model":"m"}\n\ndata: {"model":"m"}\n\n',
      ],
      ["a stream cut in the key", sse, ['data: {"mo', 'del":"tuned"}\n\n'], 'data: {"model":"m"}\n\n'],
      ["a stream cut in the name", sse, ['data: {"model":"tun', 'ed"}\n\n'], 'data: {"model":"m"}\n\n'],
      [
        "text that only looks alike",
        json,
        ['{"text":"\\"model\\":\\"tuned\\""}'],
        '{"text":"\\"model\\":\\"tuned\\""}',
      ],
      ["another model", json, ['{"model":"other"}'], '{"model":"other"}'],
      ["no JSON", json, ["no healthy upstream"], "no healthy upstream"],
    ];
    test.each(cases)("1.3-7 is put back: %s", async (_name, headers, chunks, expected) => {
      const stream = picker().stream(...rewritten, response.headers(headers));
      chunks.forEach((chunk, i) => void stream.send(response.body(chunk, i === chunks.length - 1)));
      const pieces = headers === sse ? chunks.length : 1;
      const replies = (await stream.until(3 + pieces)).slice(3);
      expect(replies.map(({ body }) => body).join("")).toBe(expected);
    });

    test("1.3-7 is put back wherever a stream is cut", async () => {
      const text = 'data: {"id":1,"model":"tuned"}\n\ndata: [DONE]\n\n';
      const streams = Array.from({ length: text.length - 1 }, (_, i) => {
        const stream = picker().stream(...rewritten, response.headers(sse));
        return stream.send(response.body(text.slice(0, i + 1)), response.body(text.slice(i + 1), true));
      });
      for (const stream of streams) {
        const replies = (await stream.until(5)).slice(3);
        expect(replies.map(({ body }) => body).join("")).toBe(text.replace("tuned", "m"));
      }
    });

    test("1.3-7 stays when the request was not rewritten", async () => {
      const stream = picker().stream(...routed, response.headers(json), response.body('{"model":"tuned"}', true));
      expect((await stream.until(4))[3]!.body).toBe('{"model":"tuned"}');
    });
  });

  describe("1.3 usage", () => {
    const block =
      '{"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4}}}';
    const read = { promptTokens: 7, completionTokens: 10, totalTokens: 17, cachedTokens: 4 };

    test("1.3-8 of a JSON answer, wherever it is cut", async () => {
      await everyCut(block, json);
    });

    test("1.3-8 of a stream, wherever it is cut", async () => {
      await everyCut(`data: {"choices":[]}\n\ndata: ${block}\n\ndata: [DONE]\n\n`, sse);
    });

    async function everyCut(text: string, headers: Record<string, string>): Promise<void> {
      const streams = Array.from({ length: text.length - 1 }, (_, i) =>
        picker().stream(
          ...routed,
          response.headers(headers),
          response.body(text.slice(0, i + 1)),
          response.body(text.slice(i + 1), true),
        ),
      );
      for (const stream of streams) await stream.until(headers === sse ? 5 : 4);
      const ends = bodyEvents.filter(({ endOfStream }) => endOfStream);
      expect(ends).toHaveLength(text.length - 1);
      for (const { usage } of ends) expect(usage).toEqual(read);
    }

    test("1.3-8 continuous usage of a stream counts once, by its last value", async () => {
      const counting = await start();
      const events = [1, 2, 3].map(
        (n) => `data: {"usage":{"prompt_tokens":7,"completion_tokens":${n},"total_tokens":${7 + n}}}\n\n`,
      );
      const stream = counting.stream(
        ...routed,
        response.headers(sse),
        response.body(events.join("")),
        response.body("data: [DONE]\n\n", true),
      );
      await stream.until(5);
      await finish(stream);
      expect(await counting.metric("llm_d_epp_request_input_tokens_count")).toBe(1);
      expect(await counting.metric("llm_d_epp_request_input_tokens_sum")).toBe(7);
      expect(await counting.metric("llm_d_epp_request_output_tokens_sum")).toBe(3);
    });

    test.each([
      ["no JSON", json, "no healthy upstream"],
      ["broken JSON", json, '{"usage":{"prompt_tokens":'],
      ["a broken event", sse, 'data: {"usage":{"prompt_tokens":\n\n'],
      ["nothing", json, ""],
    ])("1.3-9 %s passes unchanged, and says nothing of usage", async (_name, headers, text) => {
      const stream = picker().stream(...routed, response.headers(headers), response.body(text, true));
      expect((await stream.until(4))[3]).toMatchObject({ body: text, endOfStream: true });
      expect(bodyEvents.at(-1)!.usage).toBeUndefined();
    });
  });

  describe("1.3 without a request phase", () => {
    const alone: readonly (readonly [string, readonly Message[], readonly unknown[]])[] = [
      [
        "headers and a body in two chunks",
        [
          response.headers(json),
          response.body('{"usage":{"prompt_tokens":7,', false),
          response.body('"completion_tokens":10,"total_tokens":17}}', true),
        ],
        [
          {
            kind: "responseBody",
            body: '{"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}}',
            bytes: 70,
            endOfStream: true,
          },
        ],
      ],
      ["headers that end the answer", [response.headers({ ":status": "204" }, true)], []],
      ["trailers alone", [response.headers(json), response.trailers()], [{ kind: "responseTrailers" }]],
    ];
    test.each(alone)("1.3-10 %s are answered", async (_name, messages, replies) => {
      const stream = picker().stream(...messages);
      expect(await stream.until(1 + replies.length)).toEqual([passed, ...replies]);
      expect(bodyEvents).toEqual([]);
    });

    test("1.3-10 a body without headers before it is answered", async () => {
      const [reply] = await picker().stream(response.body("x", true)).until(1);
      expect(reply).toEqual({ kind: "responseBody", body: "x", bytes: 1, endOfStream: true });
    });

    test("1.3-10 usage counts under empty labels, while the stream is open", async () => {
      const counting = await start();
      const stream = counting.stream(
        response.headers(sse),
        response.body(
          'data: {"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}}\n\ndata: [DONE]\n\n',
        ),
        response.body("", true),
      );
      await stream.until(3);
      expect(
        await counting.metric("llm_d_epp_request_input_tokens_sum", { model_name: "", target_model_name: "" }),
      ).toBe(7);
      expect(await counting.metric("llm_d_epp_request_input_tokens_count")).toBe(1);
    });
  });
});
