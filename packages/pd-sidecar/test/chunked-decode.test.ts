import { expect, test } from "vitest";
import { at, Bench, sse } from "./support/bench.ts";
import type { Answer } from "./support/fake-server.ts";
import { chat, completion, pair, prefilled } from "./support/scenario.ts";

const message = (content: string | null, extra: Record<string, unknown> = {}) => ({
  role: "assistant",
  content,
  ...extra,
});
const chunk = (content: string | null, finish_reason: string, completion_tokens = 5, extra = {}): Answer => ({
  body: {
    id: `c-${content}`,
    choices: [{ index: 0, message: message(content, extra), finish_reason }],
    usage: { prompt_tokens: 8, completion_tokens, total_tokens: 8 + completion_tokens },
  },
});
const long = { ...chat, max_tokens: 15 };
const options = { decodeChunkTokens: 5 };

test("three chunks are one answer of the assistant, not three", async () => {
  const { bench, d } = await pair(options, [], [chunk("a ", "length"), chunk("b ", "length"), chunk("c", "length")]);
  const answer = await bench.post(long);
  expect(at(d.seen[2]!.json, "messages")).toEqual([...(chat["messages"] as unknown[]), message("a b ")]);
  expect(at(answer.json, "choices", 0)).toMatchObject({ message: { content: "a b c" }, finish_reason: "length" });
  expect(answer.json["usage"]).toMatchObject({ completion_tokens: 15, total_tokens: 23 });
});

test("only the last event of a stream has a reason to end, and all have the id of the first", async () => {
  const { bench } = await pair(options, [], [chunk("a", "length"), chunk("b", "length"), chunk("c", "stop", 2)]);
  const events = sse((await bench.post({ ...long, stream: true })).text).slice(0, -2) as Record<string, unknown>[];
  expect(events.map((event) => at(event, "choices", 0, "finish_reason"))).toEqual([null, null, "stop"]);
  expect(events.map((event) => event["id"])).toEqual(["c-a", "c-a", "c-a"]);
});

test("the transferred cache is for the first chunk, whose cached tokens are prefill's", async () => {
  const { bench, d, pf } = await pair(options, [{ body: prefilled }], [chunk("a", "length"), chunk("b", "stop")]);
  const answer = await bench.post(long, pf);
  expect(d.seen.map((seen) => seen.json?.["kv_transfer_params"])).toEqual([prefilled.kv_transfer_params, undefined]);
  expect(at(answer.json, "usage", "prompt_tokens_details", "cached_tokens")).toBe(7);
});

test("a least number of tokens is spread over the chunks", async () => {
  const { bench, d } = await pair(options, [], [chunk("a", "length"), chunk("b", "stop")]);
  await bench.post({ ...long, min_tokens: 7 });
  expect(d.seen.map((seen) => seen.json?.["min_tokens"])).toEqual([5, 2]);
});

test.each([
  ["tools", { tools: [{ type: "function", function: { name: "f" } }] }],
  ["several answers", { n: 2 }],
  ["log probabilities", { logprobs: true }],
  ["a response format", { response_format: { type: "json_object" } }],
  ["a message of its own to continue", { continue_final_message: true }],
])("a request with %s is made in one", async (_what, fields) => {
  const { bench, d } = await pair(options);
  await bench.post({ ...long, ...fields });
  expect(d.seen.map((seen) => seen.text)).toEqual([JSON.stringify({ ...long, ...fields })]);
  expect(await bench.metric("pd_sidecar_fallbacks_total", { name: "whole-decode" })).toBe(1);
});

test.each([
  ["thinks aloud", { reasoning_content: "hm" }],
  ["calls tools", { tool_calls: [{ id: "t" }] }],
])("an answer that %s is made again in one, without the used-up cache", async (_what, extra) => {
  const { bench, d, pf } = await pair(
    options,
    [{ body: prefilled }],
    [chunk(null, "length", 5, extra), { body: completion }],
  );
  const answer = await bench.post(long, pf);
  expect(answer.text).toContain('"hi"');
  expect(d.seen).toHaveLength(2);
  expect(d.last.json).toEqual(long);
});

test.each([
  ["thinks aloud", { reasoning_content: "hm" }, "stop"],
  ["calls tools", { tool_calls: [{ id: "t" }] }, "tool_calls"],
])("a short answer that %s loses nothing, as a document or a stream", async (_what, extra, reason) => {
  const { bench, d } = await pair(options, [], [chunk("a", reason, 3, extra), chunk("b", reason, 3, extra)]);
  expect(at((await bench.post(long)).json, "choices", 0, "message")).toEqual(message("a", extra));
  expect((await bench.post({ ...long, stream: true })).text).toContain(JSON.stringify(extra).slice(1, -1));
  expect(d.last.json).toEqual({ ...long, stream: true });
});

test("an error within a stream is an event, and the stream ends", async () => {
  const { bench } = await pair(options, [], [chunk("a", "length"), { status: 500, body: "broken" }]);
  const events = sse((await bench.post({ ...long, stream: true })).text);
  expect(events).toHaveLength(3);
  expect(events[1]).toMatchObject({ error: { message: "decode server: status 500", code: 502 } });
  expect(events[2]).toBe("[DONE]");
});

test.each([
  ["no JSON", { body: "<html>" }, 500],
  ["a chunk without text or tokens", chunk("", "length", 0), 200],
])("%s ends it", async (_what, reply, status) => {
  const { bench, d } = await pair(options, [], [reply]);
  expect((await bench.post(long)).status).toBe(status);
  expect(d.seen).toHaveLength(1);
});

test("completions are never made in chunks", async () => {
  const bench = new Bench();
  const d = await bench.server("D", { body: completion });
  await bench.start([d], options);
  await bench.post({ prompt: "a", max_tokens: 50 }, {}, "/v1/completions");
  expect(d.last.text).toBe('{"prompt":"a","max_tokens":50}');
});
