import { Headers, hasRole, type ParsedRequest, type Parser, RequestError, type Usage } from "@pointsman/core";
import { buildPlugin, parserContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import sglangHttpParser from "./index.ts";

pluginContract(sglangHttpParser, { testFile: import.meta.url });

const event = (reason: string, prompt: number, completion: number): string =>
  `data: {"text":"x","output_ids":[1],"meta_info":{"id":"r","finish_reason":${reason},"prompt_tokens":${prompt},` +
  `"completion_tokens":${completion},"cached_tokens":2}}\n\n`;
const stream = `${event("null", 7, 1)}${event("null", 7, 2)}${event('{"type":"length"}', 7, 3)}data: [DONE]\n\n`;

parserContract(sglangHttpParser, {
  requests: [
    {
      path: "/generate",
      body: '{"input_ids":[1, 2,4294967295],"extra_key":"tenant","sampling_params":{"max_new_tokens":12},"stream":true}',
    },
    { path: "generate/", body: '{"model":"not read","input_ids":[7]}' },
  ],
  answers: [
    {
      streaming: false,
      body: '{"text":"x","meta_info":{"finish_reason":{"type":"stop"},"prompt_tokens":7,"completion_tokens":10}}',
    },
    { streaming: true, body: stream },
  ],
});

const { instance } = buildPlugin(sglangHttpParser);
if (!hasRole(instance, "parser")) throw new Error("sglanghttp-parser is no parser");
const parser: Parser = instance;
const path = "/generate";

function parse(body: string | Uint8Array, at: string = path): ParsedRequest | RequestError {
  return parser.parseRequest(at, new Headers(), typeof body === "string" ? Buffer.from(body) : body);
}

function accepted(body: unknown, at: string = path): ParsedRequest {
  const parsed = parse(typeof body === "string" ? body : JSON.stringify(body), at);
  if (parsed instanceof RequestError) throw new Error(parsed.message);
  return parsed;
}

function refusal(body: unknown, at: string = path): string {
  const parsed = parse(typeof body === "string" ? body : JSON.stringify(body), at);
  if (!(parsed instanceof RequestError)) throw new Error("accepted");
  expect(parsed.httpStatus).toBe(400);
  return parsed.message;
}

test("claims one path on both HTTP protocols", () => {
  expect(parser.claims).toEqual(["generate"]);
  expect([...parser.appProtocols].toSorted()).toEqual(["http", "kubernetes.io/h2c"]);
});

test.each([
  ["/v1/generate", "/v1/generate"],
  ["/inference/v1/generate/", "/inference/v1/generate"],
  ["/generate//", "/generate/"],
  ["", ""],
])("the path %j is not served", (at, shown) => {
  expect(refusal({ input_ids: [1] }, at)).toBe(`unsupported path: ${shown}`);
});

describe("bodies that are refused, with Go's texts", () => {
  const stream = (what: string): string =>
    `invalid generate request: json: cannot unmarshal ${what} into Go struct field sgLangGenerateWire.stream of type bool`;
  const noIds = "invalid generate request: input_ids must be provided";
  const wrongIds = "invalid generate request: input_ids must be an array of uint32 integers";
  test.each<[string, string]>([
    ["", "invalid generate request: unexpected end of JSON input"],
    ["nope", "invalid generate request: invalid character 'o' in literal null (expecting 'u')"],
    [
      "[]",
      "invalid generate request: json: cannot unmarshal array into Go value of type sglanghttp.sgLangGenerateWire",
    ],
    ["null", noIds],
    ["{}", noIds],
    ['{"input_ids":null}', noIds],
    ['{"text":"a prompt"}', noIds],
    ['{"stream":1}', stream("number")],
    ['{"input_ids":[1],"stream":"x"}', stream("string")],
    ['{"input_ids":[1],"extra_key":1}', "unsupported generate request: extra_key must be a string"],
    ['{"input_ids":"x","extra_key":["a"]}', "unsupported generate request: extra_key must be a string"],
    ['{"input_ids":"x"}', wrongIds],
    ['{"input_ids":[[1],[2]]}', wrongIds],
    ['{"input_ids":[1.0]}', wrongIds],
    ['{"input_ids":[1e2]}', wrongIds],
    ['{"input_ids":[-0]}', wrongIds],
    ['{"input_ids":[4294967296]}', wrongIds],
    ['{"input_ids":[1,null]}', wrongIds],
    ['{"input_ids":[]}', "invalid generate request: input_ids cannot be empty"],
  ])("%s", (body, text) => {
    expect(refusal(body)).toBe(text);
  });
});

describe("fields", () => {
  test("tokens, stream, limit and salt are read, the model is not", () => {
    const parsed = accepted(
      '{"model":"m","input_ids":[0 , 4294967295],"stream":true,"extra_key":"s\\ud800","sampling_params":{"max_new_tokens":3}}',
    );
    expect(parsed.promptTokenIds()?.map((ids) => [...ids])).toEqual([[0, 4294967295]]);
    expect(parsed).toMatchObject({ stream: true, cacheSalt: "s\ufffd", maxOutputTokens: 3 });
    expect(parsed.model).toBeUndefined();
    expect(parsed.rewriteModel).toBeUndefined();
    expect(parsed.promptSegments()).toEqual([]);
  });

  test.each([
    ['"sampling_params":{"max_new_tokens":0}', 0],
    ['"sampling_params":{"max_new_tokens":-1}', undefined],
    ['"sampling_params":{"max_new_tokens":"5"}', undefined],
    ['"sampling_params":[{"max_new_tokens":5}]', undefined],
    ['"sampling_params":null', undefined],
    ['"max_new_tokens":5', undefined],
  ])("%s is capped at %s", (cap, expected) => {
    expect(accepted(`{"input_ids":[1],${cap}}`).maxOutputTokens).toBe(expected);
  });

  test("an empty salt is none, null is absent, and of repeated members the last one counts", () => {
    expect(accepted('{"input_ids":[1],"extra_key":""}').cacheSalt).toBeUndefined();
    expect(accepted('{"input_ids":[1],"extra_key":null,"stream":null}')).toMatchObject({ stream: false });
    const parsed = accepted('{"input_ids":"x","extra_key":5,"input_ids":[2],"extra_key":"a"}');
    expect([...parsed.promptTokenIds()![0]!]).toEqual([2]);
    expect(parsed.cacheSalt).toBe("a");
  });

  test("very many tokens and deep nesting are read", () => {
    const parsed = accepted(`{"input_ids":[${"1,".repeat(1_000_000)}1],"x":${"[".repeat(9000)}${"]".repeat(9000)}}`);
    expect(parsed.promptTokenIds()![0]).toHaveLength(1_000_001);
  });

  test("any JSON in the API's fields is refused or read, never thrown at", () => {
    const field = fc.jsonValue({ maxDepth: 3 });
    const body = fc.record(
      { input_ids: fc.oneof(field, fc.array(fc.nat())), extra_key: field, stream: field, sampling_params: field },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(body, (value) => {
        const parsed = parse(JSON.stringify(value));
        if (!(parsed instanceof RequestError)) expect(parsed.promptTokenIds()![0]!.length).toBeGreaterThan(0);
      }),
    );
  });
});

function usageOf(pieces: readonly string[], streaming: boolean): Usage | undefined {
  const reader = parser.responseReader(undefined, { headers: new Headers(), streaming, restoreModel: undefined });
  pieces.forEach((piece, i) => {
    const bytes = Buffer.from(piece);
    expect(reader.chunk(bytes, i === pieces.length - 1)).toBe(bytes);
  });
  expect(reader.events).toBe(0);
  return reader.usage;
}

const counts = (prompt?: number, completion?: number, total?: number, cached?: number): Usage => ({
  promptTokens: prompt,
  completionTokens: completion,
  totalTokens: total,
  cachedTokens: cached,
});

describe("usage", () => {
  test.each<[string, string, Usage | undefined]>([
    ["all counts", '{"prompt_tokens":7,"completion_tokens":10,"cached_tokens":4}', counts(7, 10, 17, 4)],
    ["one half", '{"completion_tokens":10}', counts(undefined, 10, 10)],
    ["no half", '{"cached_tokens":4,"finish_reason":"stop"}', undefined],
    ["null", "null", undefined],
    ["a list", "[]", undefined],
  ])("of a JSON answer: %s", (_name, metaInfo, expected) => {
    expect(usageOf([`{"meta_info":${metaInfo}}`], false)).toEqual(expected);
  });

  test("of several answers in a list is unknown", () => {
    expect(usageOf(['[{"meta_info":{"prompt_tokens":7}}]'], false)).toBeUndefined();
  });

  test.each<[string, string, Usage | undefined]>([
    ["the event with a finish reason", stream, counts(7, 3, 10, 2)],
    ["no event with one", event("null", 7, 1), undefined],
    ["a reason of any kind", event('"stop"', 7, 4), counts(7, 4, 11, 2)],
    ["no reason at all", 'data: {"meta_info":{"prompt_tokens":7}}\n\n', undefined],
    ["a reason elsewhere", 'data: {"finish_reason":"stop","meta_info":{"prompt_tokens":7}}\n\n', undefined],
    ["a last event without counts", `${stream}data: {"meta_info":{"finish_reason":"stop"}}\n\n`, counts(7, 3, 10, 2)],
    ["CRLF", stream.replaceAll("\n", "\r\n"), counts(7, 3, 10, 2)],
  ])("of a stream: %s, wherever it is cut", (_name, text, expected) => {
    expect(usageOf([text], true)).toEqual(expected);
    expect(usageOf([...text], true)).toEqual(expected);
    for (let place = 1; place < text.length; place++) {
      expect(usageOf([text.slice(0, place), text.slice(place)], true)).toEqual(expected);
    }
  });
});

test("random streams, cut at random, give the counts of the last event with a reason", () => {
  const part = fc.record({ reason: fc.constantFrom("null", '"stop"', '{"type":"length"}'), n: fc.nat(99) });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (parts, cuts) => {
      const text = parts.map(({ reason, n }) => event(reason, 7, n)).join("");
      const places = cuts.map((place) => place % (text.length + 1)).toSorted((a, b) => a - b);
      const pieces = [...places, text.length].map((to, i) => text.slice(places[i - 1] ?? 0, to));
      const last = parts.findLast(({ reason }) => reason !== "null");
      expect(usageOf(pieces, true)).toEqual(last && counts(7, last.n, 7 + last.n, 2));
    }),
    { numRuns: 300 },
  );
});
