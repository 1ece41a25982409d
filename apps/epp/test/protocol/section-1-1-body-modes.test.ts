/** Spec ext-proc section 1.1, and what Envoy's other modes for bodies ask for. */
import type { PluginInstance, ResponseBodyEvent } from "@pointsman/core";
import { describe, expect, test } from "vitest";
import type { ExtProcStream } from "./support/ext-proc-stream.ts";
import { bodyMode, completion, type Message, type Reply, request, response } from "./support/messages.ts";
import { eventually, onBothTransports } from "./support/picker.ts";

const json = { ":status": "200", "content-type": "application/json" };
const sse = { ":status": "200", "content-type": "text/event-stream" };
const path = { ":path": "/v1/completions" };
const opening = (response: number, headers: Record<string, string> = path): readonly Message[] => [
  request.headers(headers, false, undefined, { response }),
  request.body(completion("a", "m")),
];
const rewrite = { ...path, "x-llm-d-model-name-rewrite": "tuned" };

/** Sends an answer in pieces, each once the one before is answered, and returns what goes on to the client. */
async function answer(
  stream: ExtProcStream,
  headers: Record<string, string>,
  pieces: readonly string[],
  { trailers = false } = {},
): Promise<{ readonly text: string; readonly replies: readonly Reply[] }> {
  stream.send(response.headers(headers));
  await stream.until(3);
  let text = "";
  for (const [i, piece] of pieces.entries()) {
    stream.send(response.body(piece, !trailers && i === pieces.length - 1));
    const reply = (await stream.until(4 + i))[3 + i]!;
    expect(reply.kind).toBe("responseBody");
    expect(reply.body).toBeUndefined();
    text += reply.kept ? piece : reply.replacement;
  }
  if (trailers) stream.send(response.trailers());
  stream.halfClose();
  return { text, replies: (await stream.all()).slice(3) };
}

onBothTransports("1.1 body modes", (start, shared) => {
  const events: ResponseBodyEvent[] = [];
  const watcher: PluginInstance = { responseBody: (_request, _result, event) => void events.push(event) };
  const picker = shared({ plugins: { watcher } });

  describe.each([
    ["STREAMED", bodyMode.streamed],
    ["BUFFERED_PARTIAL", bodyMode.bufferedPartial],
  ])("1.1 answers in %s mode", (_name, mode) => {
    test("each piece of a stream is answered by itself, and stays where it is", async () => {
      const pieces = ["data: 1\n\n", "data: [DO", "NE]\n\n", ""];
      const { text, replies } = await answer(picker().stream(...opening(mode)), sse, pieces);
      expect(text).toBe(pieces.join(""));
      expect(replies).toEqual(pieces.map(() => ({ kind: "responseBody", kept: true })));
    });

    test("so is each piece of a JSON answer, which plugins see once, whole", async () => {
      events.length = 0;
      const pieces = ['{"usage":{"prompt_', 'tokens":3,"completion_tokens":4}', "}", ""];
      const { text, replies } = await answer(picker().stream(...opening(mode)), json, pieces);
      expect(text).toBe(pieces.join(""));
      expect(replies.every(({ kept }) => kept)).toBe(true);
      expect(events).toMatchObject([
        {
          startOfStream: true,
          endOfStream: true,
          chunkBytes: text.length,
          terminationCause: "natural",
          usage: { promptTokens: 3, completionTokens: 4, totalTokens: 7 },
        },
      ]);
    });

    test("an answer longer than what is held back elsewhere is one event for plugins, too", async () => {
      events.length = 0;
      const pieces = [...Array.from({ length: 40 }, () => "x".repeat(60_000)), ""];
      await answer(picker().stream(...opening(mode)), json, pieces);
      expect(events.map(({ chunkBytes, startOfStream }) => [chunkBytes, startOfStream])).toEqual([[2_400_000, true]]);
    });

    test("trailers are answered once the pieces are", async () => {
      events.length = 0;
      const stream = picker().stream(...opening(mode));
      const { replies } = await answer(stream, json, ["{", "}"], { trailers: true });
      expect(replies).toEqual([
        { kind: "responseBody", kept: true },
        { kind: "responseBody", kept: true },
        { kind: "responseTrailers" },
      ]);
      expect(events).toMatchObject([{ startOfStream: true, endOfStream: true, chunkBytes: 2 }]);
    });

    test.each([
      [
        "JSON",
        json,
        ['{"id":"1","model":"tuned","text":"model tuned"}'],
        '{"id":"1","model":"m","text":"model tuned"}',
      ],
      ["JSON cut in the name", json, ['{"model":"tu', 'ned","n":1', "}"], '{"model":"m","n":1}'],
      ["JSON cut in each byte", json, [...'{"model":"tuned"}'], '{"model":"m"}'],
      ["a stream", sse, ['data: {"model":"tuned"}\n\n', "data: [DONE]\n\n"], 'data: {"model":"m"}\n\ndata: [DONE]\n\n'],
      ["a stream cut in each byte", sse, [...'data: {"model":"tuned"}\n\n'], 'data: {"model":"m"}\n\n'],
      ["a name that never ends", json, ['{"model":"tu'], '{"model":"tu'],
    ])("the model's name is put back: %s", async (_case, headers, pieces, expected) => {
      const { text, replies } = await answer(picker().stream(...opening(mode, rewrite)), headers, pieces);
      expect(text).toBe(expected);
      expect(replies).toHaveLength(pieces.length);
      expect(replies.some(({ set }) => set !== undefined)).toBe(false);
    });

    test("trailers within the model's name end the stream: no reply is left that could carry it", async () => {
      const stream = picker().stream(...opening(mode, rewrite), response.headers(json));
      stream.send(response.body('{"model":"tu'), response.trailers());
      expect(await stream.end()).toMatchObject({ details: "response_trailers cut an answer within the model's name" });
    });

    test("metadata of plugins comes with the last reply, also with one that replaces", async () => {
      const reporting = await start({
        plugins: {
          reporter: {
            responseBody: (_request, _result, { endOfStream, setDynamicMetadata }) => {
              if (endOfStream) setDynamicMetadata("own", "key", 1);
            },
          },
        },
      });
      const kept = await answer(reporting.stream(...opening(mode)), json, ["{", "}"]);
      expect(kept.replies.map(({ metadata }) => metadata)).toEqual([undefined, { own: { key: 1 } }]);
      const replaced = await answer(reporting.stream(...opening(mode, rewrite)), json, ['{"model":"tuned"}']);
      expect(replaced.replies).toMatchObject([{ replacement: '{"model":"m"}', metadata: { own: { key: 1 } } }]);
    });
  });

  test("1.1 usage of an answer in STREAMED mode is counted, of streams and of JSON", async () => {
    const counting = await start();
    const usage = '{"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}}';
    await answer(counting.stream(...opening(bodyMode.streamed)), json, [usage.slice(0, 20), usage.slice(20)]);
    await answer(counting.stream(...opening(bodyMode.streamed)), sse, [
      `data: ${usage.slice(0, 9)}`,
      `${usage.slice(9)}\n\n`,
    ]);
    await eventually(() => counting.metric("llm_d_epp_request_output_tokens_sum")).toBe(20);
    expect(await counting.metric("llm_d_epp_request_input_tokens_sum")).toBe(14);
    expect(await counting.metric("llm_d_epp_request_running")).toBe(0);
  });

  test("1.1 an answer in BUFFERED mode whose model's name is put back says its new length", async () => {
    const { replies } = await answer(picker().stream(...opening(bodyMode.buffered, rewrite)), json, [
      '{"model":"tuned"}',
    ]);
    expect(replies).toEqual([{ kind: "responseBody", replacement: '{"model":"m"}', set: [["content-length", "13"]] }]);
    const kept = await answer(picker().stream(...opening(bodyMode.buffered)), json, ["{}"]);
    expect(kept.replies).toEqual([{ kind: "responseBody", kept: true }]);
  });

  test("1.1 answers that would be held beyond --max-held-body-size, all together, pass on as they come", async () => {
    const bounded = await start({ flags: ["--max-held-body-size=1KiB"] });
    const first = bounded.stream(
      ...opening(bodyMode.fullDuplex),
      response.headers(json),
      response.body("x".repeat(900)),
    );
    await first.until(3);
    const second = bounded.stream(
      ...opening(bodyMode.fullDuplex),
      response.headers(json),
      response.body("y".repeat(200)),
    );
    expect((await second.until(4))[3]).toMatchObject({ bytes: 200, endOfStream: false });
    expect(await bounded.metric("llm_d_epp_response_let_go_total")).toBe(1);
    first.send(response.body("x", true));
    expect((await first.until(4))[3]).toMatchObject({ bytes: 901, endOfStream: true });
  });

  test.each([
    ["no word of modes", undefined],
    ["FULL_DUPLEX_STREAMED", {}],
    ["no bodies of answers", { response: bodyMode.none }],
    ["GRPC", { response: bodyMode.grpc }],
    ["a mode of a later Envoy", { response: 99 }],
  ])("1.1 with %s pieces go back as bytes", async (_name, modes) => {
    const stream = picker().stream(request.headers(path, false, undefined, modes), request.body(completion("a", "m")));
    stream.send(response.headers(sse), response.body("data: 1\n\n"));
    expect((await stream.until(4))[3]).toMatchObject({ body: "data: 1\n\n", endOfStream: false });
  });

  describe.each([
    ["NONE", bodyMode.none],
    ["STREAMED", bodyMode.streamed],
    ["BUFFERED", bodyMode.buffered],
    ["BUFFERED_PARTIAL", bodyMode.bufferedPartial],
  ])("1.1 requests in %s mode", (name, mode) => {
    test("a request with a body is refused at once, with what to set", async () => {
      const refusing = await start();
      const stream = refusing.stream(request.headers(path, false, undefined, { request: mode }));
      const replies = await stream.all();
      expect(replies).toMatchObject([{ kind: "immediateResponse", status: 500 }]);
      expect(replies[0]!.body).toBe(
        `inference error: Internal - ext_proc runs with request_body_mode ${name}, which sends no body before the headers are answered; set it to FULL_DUPLEX_STREAMED`,
      );
      expect(refusing.log.filter(({ message }) => message === "request rejected")).toHaveLength(1);
    });

    test("a request without a body is routed", async () => {
      const stream = picker().stream(request.headers(path, true, undefined, { request: mode }));
      expect((await stream.until(1))[0]!.kind).toBe("requestHeaders");
    });
  });
});
