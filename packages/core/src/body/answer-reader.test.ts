import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Headers } from "../headers.ts";
import { get } from "../json/index.ts";
import type { ResponseContext, ResponseReader, Usage } from "../plugin/parser.ts";
import type { AnswerFormat } from "./answer-format.ts";
import { AnswerReader } from "./answer-reader.ts";
import { maxJsonBodyBytes } from "./json-usage.ts";
import { openAiAnswer } from "./openai-answer.ts";
import { maxEventBytes } from "./stream-usage.ts";
import { tokenCount } from "./token-count.ts";

const restoreModel = { from: "org/base-8b", to: 'my "model"' };

function reader(options: Partial<ResponseContext> = {}): ResponseReader {
  return new AnswerReader(
    { headers: new Headers(), streaming: true, restoreModel: undefined, ...options },
    openAiAnswer,
  );
}

interface Reading {
  readonly text: string;
  readonly usage: Usage | undefined;
  readonly events: number;
}

/** Sends pieces and ends; the end comes with the last piece. */
function read(pieces: readonly (string | Uint8Array)[], options?: Partial<ResponseContext>): Reading {
  const under = reader(options);
  const out: Uint8Array[] = [];
  pieces.forEach((piece, i) => {
    // Each piece in memory of its own that is overwritten after, so that nothing may depend on it.
    const bytes = Buffer.from(piece);
    out.push(Buffer.from(under.chunk(bytes, i === pieces.length - 1)));
    bytes.fill(0);
  });
  return { text: Buffer.concat(out).toString("latin1"), usage: under.usage, events: under.events };
}

function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b);
  return [...places, bytes.length].map((end, i) => bytes.subarray(places[i - 1] ?? 0, end));
}

const latin1 = (text: string): string => Buffer.from(text).toString("latin1");
const counts = (prompt?: number, completion?: number, total?: number, cached?: number): Usage => ({
  promptTokens: prompt,
  completionTokens: completion,
  totalTokens: total,
  cachedTokens: cached,
});

describe("usage in a JSON answer", () => {
  test.each<[string, unknown, Usage | undefined]>([
    ["chat", { prompt_tokens: 7, completion_tokens: 10, total_tokens: 17 }, counts(7, 10, 17)],
    ["responses", { input_tokens: 7, output_tokens: 10, total_tokens: 18 }, counts(7, 10, 18)],
    ["total as sum", { prompt_tokens: 7, completion_tokens: 10 }, counts(7, 10, 17)],
    ["embeddings", { prompt_tokens: 7, total_tokens: 7 }, counts(7, undefined, 7)],
    ["texts", { prompt_tokens: "7", completion_tokens: " 1e1 ", total_tokens: "17.9" }, counts(7, 10, 17)],
    ["null is absent", { prompt_tokens: null, input_tokens: 3, output_tokens: 0 }, counts(3, 0, 3)],
    ["cached", { prompt_tokens: 9, prompt_tokens_details: { cached_tokens: 8 } }, counts(9, undefined, 9, 8)],
    [
      "cached in both",
      { prompt_tokens_details: { cached_tokens: 8 }, input_tokens_details: { cached_tokens: "5" } },
      counts(undefined, undefined, undefined, 5),
    ],
    ["no counts", { prompt_tokens: -1, completion_tokens: "many", total_tokens: {} }, counts()],
    ["a text of any length", { prompt_tokens: "1".repeat(40) }, counts()],
    ["null", null, undefined],
    ["a list", [1], undefined],
  ])("%s", (_name, usage, expected) => {
    const body = JSON.stringify({ id: "x", usage });
    expect(read([body], { streaming: false }).usage).toEqual(expected);
    expect(read([...body], { streaming: false })).toEqual({ text: body, usage: expected, events: 0 });
  });

  test("a number beyond range is no count", () => {
    expect(read(['{"usage":{"prompt_tokens":1e400,"completion_tokens":2}}'], { streaming: false }).usage).toEqual(
      counts(undefined, 2, 2),
    );
  });

  test("what is no JSON object passes without usage", () => {
    for (const body of ["", "[]", "{", "null", "upstream error"]) {
      expect(read([body], { streaming: false })).toEqual({ text: body, usage: undefined, events: 0 });
    }
  });

  test("an answer beyond the bound passes without usage", () => {
    const body = `{"usage":{"prompt_tokens":1},"pad":"${" ".repeat(maxJsonBodyBytes)}"}`;
    const { text, usage } = read(cut(Buffer.from(body), [1000, 5_000_000]), { streaming: false });
    expect(usage).toBeUndefined();
    expect(text === body).toBe(true);
  });

  test("an answer within the bound is read from many pieces", () => {
    const body = `{"pad":"${" ".repeat(3_000_000)}","usage":{"prompt_tokens":1}}`;
    const cuts = Array.from({ length: 100 }, (_, i) => i * 30_000);
    expect(read(cut(Buffer.from(body), cuts), { streaming: false }).usage?.promptTokens).toBe(1);
  });
});

describe("usage and events of a stream", () => {
  const usage = '"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}';

  test.each<[string, string, number, Usage | undefined]>([
    ["LF", `data: {"a":1}\n\ndata: {${usage}}\n\ndata: [DONE]\n\n`, 2, counts(7, 10, 17)],
    ["CRLF", `data: {"a":1}\r\n\r\ndata: {${usage}}\r\n\r\ndata: [DONE]\r\n\r\n`, 2, counts(7, 10, 17)],
    ["no space after the colon", `data:{${usage}}\n\ndata:[DONE]\n\n`, 1, counts(7, 10, 17)],
    ["comments and other fields", `: ping\n\nevent: x\nid: 1\ndata: {${usage}}\nretry: 5\n\n`, 1, counts(7, 10, 17)],
    ["data of several lines", `data: {"usage":\ndata: {"prompt_tokens":\ndata: 7}}\n\n`, 1, counts(7, undefined, 7)],
    ["a JSON text in lines that end with }", `data: {"a":{}\ndata: ,${usage}}\n\n`, 1, counts(7, 10, 17)],
    ["no empty lines between events", `data: {"a":1}\ndata: {${usage}}\ndata: [DONE]`, 2, counts(7, 10, 17)],
    ["the last line not ended", `data: {${usage}}`, 1, counts(7, 10, 17)],
    [
      "null before",
      `data: {"usage":null}\n\ndata: {"usage" : null,"x":{${usage}}}\n\ndata: {${usage}}\n\n`,
      3,
      counts(7, 10, 17),
    ],
    ["usage deeper down", `data: {"x":{${usage}}}\n\n`, 1, undefined],
    ["usage in a text", `data: {"x":"\\"usage\\":{}"}\n\n`, 1, undefined],
    ["data that is no JSON", `data: {"usage":\n\ndata: "usage"\n\ndata:\n\n`, 3, undefined],
    [
      "responses",
      'event: response.created\ndata: {"type":"response.created","response":{"usage":null}}\n\n' +
        'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":31,' +
        '"input_tokens_details":{"cached_tokens":16},"output_tokens":9,"total_tokens":40}}}\n\n',
      2,
      counts(31, 9, 40, 16),
    ],
    [
      "continuous usage: the last value counts",
      [1, 2, 3].map((n) => `data: {"usage":{"prompt_tokens":7,"completion_tokens":${n}}}\n\n`).join(""),
      3,
      counts(7, 3, 10),
    ],
    [
      "halves in two events",
      'data: {"usage":{"prompt_tokens":7,"total_tokens":7}}\n\ndata: {"usage":{"completion_tokens":2}}\n\n',
      2,
      counts(7, 2, 9),
    ],
    ["nothing", "", 0, undefined],
  ])("%s, however it is cut", (_name, text, events, expected) => {
    const whole = { text, usage: expected, events };
    expect(read([text])).toEqual(whole);
    expect(read([...text, ""])).toEqual(whole);
    for (let place = 1; place < text.length; place++) {
      expect(read([text.slice(0, place), text.slice(place)])).toEqual(whole);
    }
    for (let place = 0; place < text.length; place++) {
      const pieces = [text.slice(0, place), text.slice(place)];
      expect(read(pieces, { ignoresEvents: true })).toEqual({ ...whole, events: 0 });
    }
  });

  test("the last counts stand before the stream ends", () => {
    const under = reader();
    under.chunk(Buffer.from(`data: {${usage}}\n\n`), false);
    expect(under.usage).toEqual(counts(7, 10, 17));
    expect(under.events).toBe(1);
  });

  test("chunks are returned as they came", () => {
    const under = reader();
    for (const text of ['data: {"a', '":1}\n', "\ndata", ""]) {
      const bytes = Buffer.from(text);
      expect(under.chunk(bytes, false)).toBe(bytes);
    }
  });

  test.each([
    ["in one piece", []],
    ["in many pieces", Array.from({ length: 60 }, (_, i) => i * 50_000)],
    ["cut around its end", [maxEventBytes + 100, maxEventBytes + 101, maxEventBytes + 102, maxEventBytes + 103]],
  ])("an event beyond the bound passes unread, the next is read: %s", (_name, cuts) => {
    const long = `data: {"usage":{"prompt_tokens":1},"x":"${"y".repeat(maxEventBytes + 50)}"}\r\n\r\n`;
    const text = `${long}data: {"usage":{"completion_tokens":2}}\n\n`;
    const reading = read(cut(Buffer.from(text), cuts));
    expect(reading.usage).toEqual(counts(undefined, 2, 2));
    expect(reading.events).toBe(2);
    expect(reading.text === text).toBe(true);
  });
});

describe("the model's name in answers", () => {
  const restored = (pieces: readonly string[], streaming: boolean): string =>
    read(pieces, { streaming, restoreModel }).text;
  const from = '"org/base-8b"';
  const to = '"my \\"model\\""';

  test.each<[string, string, string]>([
    ["first", `{"model":${from},"a":1}`, `{"model":${to},"a":1}`],
    ["last, with white space", `{ "a" : [1] , "model" : ${from} }\n`, `{ "a" : [1] , "model" : ${to} }\n`],
    ["with escapes", '{"mod\\u0065l":"org\\/b\\u0061se-8b"}', `{"mod\\u0065l":${to}}`],
    ["repeated", `{"model":${from},"model":${from}}`, `{"model":${to},"model":${to}}`],
    ["after numbers and literals", `{"a":-1.5e3,"b":null,"model":${from}}`, `{"a":-1.5e3,"b":null,"model":${to}}`],
    [
      "after texts with braces",
      `{"a":"}{\\"","b":{"c":"]"},"model":${from}}`,
      `{"a":"}{\\"","b":{"c":"]"},"model":${to}}`,
    ],
    ["after a value that is an escape", `{"a":"\\\\","model":${from}}`, `{"a":"\\\\","model":${to}}`],
  ])("is replaced: %s", (_name, given, expected) => {
    for (const [frame, streaming] of [
      ["", false],
      ["data: ", true],
    ] as const) {
      const text = streaming ? `${frame}${given.replaceAll("\n", "")}\n\n` : given;
      const wanted = streaming ? `${frame}${expected.replaceAll("\n", "")}\n\n` : expected;
      expect(restored([text], streaming)).toBe(wanted);
      expect(restored([...text], streaming)).toBe(wanted);
      for (let place = 1; place < text.length; place++) {
        expect(restored([text.slice(0, place), text.slice(place)], streaming)).toBe(wanted);
      }
    }
  });

  test.each([
    ["another name", '{"model":"org/base-8b-instruct"}'],
    ["a beginning of it", '{"model":"org/base"}'],
    ["deeper down", `{"choices":[{"model":${from}}],"x":{"model":${from}}}`],
    ["as a text", `{"content":${JSON.stringify(`{"model":${from}}`)}}`],
    ["as another field", `{"models":${from},"Model":${from},"mode":${from},"a":${from}}`],
    ["in a list", `[{"model":${from}}]`],
    ["no text", '{"model":null,"model":5,"model":["org/base-8b"],"model":{"model":"org/base-8b"}}'],
    ["behind a text", `hello {"model":${from}}`],
    ["a longer name than any way to write it", `{"model":"${"x".repeat(500)}","a":${from}}`],
    ["a key with a bad escape", `{"mod\\q":${from},"mod\\u00zz":${from},"mode\\u006":${from}}`],
    ["a name with a bad escape", '{"model":"org\\qbase-8b","model":"org\\u00zzbase-8b"}'],
    ["not ended", '{"model":"org/base-8b'],
    ["ended in an escape", '{"model":"org/base-8b\\'],
  ])("stays: %s", (_name, given) => {
    expect(restored([given], false)).toBe(given);
    expect(restored([...given], false)).toBe(given);
    expect(restored([...`data: ${given}\n\n`], true)).toBe(`data: ${given}\n\n`);
    expect(restored([`data: ${given}`], true)).toBe(`data: ${given}`);
  });

  test("is replaced in the response of a responses event, and only in a stream", () => {
    const body = (name: string): string => `{"type":"response.completed","response":{"model":${name},"output":[]}}`;
    expect(restored([`data: ${body(from)}\n\n`], true)).toBe(`data: ${body(to)}\n\n`);
    expect(restored([body(from)], false)).toBe(body(from));
  });

  test("is replaced in data of several lines, between comments, and where empty lines are missing", () => {
    const text = (name: string): string =>
      `: {"model":${from}}\r\nevent: x\r\ndata: {"a":{},\r\ndata:"model":\r\ndata: ${name}\r\ndata: }\r\n\r\n` +
      `data: {"model":${name}}\ndata: {"model":${name}}\ndata: [DONE]\n\n`;
    expect(restored([text(from)], true)).toBe(text(to));
    expect(restored([...text(from)], true)).toBe(text(to));
  });

  test("an event that is broken off does not spoil the next", () => {
    const text = (name: string): string => `data: {"x":{"y":"z\n\ndata: {"model":"org\n\ndata: {"model":${name}}\n\n`;
    expect(restored([...text(from)], true)).toBe(text(to));
  });

  test("a chunk without a change is returned as it came, and nothing but the name is held back", () => {
    const under = reader({ restoreModel });
    const plain = Buffer.from('data: {"id":1,"choices":[');
    expect(under.chunk(plain, false)).toBe(plain);
    expect(Buffer.from(under.chunk(Buffer.from('],"model":"org'), false)).toString()).toBe('],"model":');
    expect(under.chunk(Buffer.from("/base"), false)).toHaveLength(0);
    expect(Buffer.from(under.chunk(Buffer.from('-8b","x":"'), false)).toString()).toBe(`${to},"x":"`);
    expect(Buffer.from(under.chunk(Buffer.from("y"), true)).toString()).toBe("y");
  });

  test("what is held back goes out at the end", () => {
    const under = reader({ restoreModel });
    expect(Buffer.from(under.chunk(Buffer.from('data: {"model":"org'), false)).toString()).toBe('data: {"model":');
    expect(Buffer.from(under.chunk(Buffer.alloc(0), true)).toString()).toBe('"org');
  });

  test("an answer of any length is restored", () => {
    const pad = "z".repeat(200_000);
    const body = (name: string): string => `{"pad":"${pad}","model":${name}}`;
    const cuts = Array.from({ length: 60 }, (_, i) => i * 4000);
    expect(read(cut(Buffer.from(body(from)), cuts), { streaming: false, restoreModel }).text).toBe(body(to));
  });

  test("a compressed answer passes unread", () => {
    const headers = Headers.from([["content-encoding", "gzip"]]);
    const body = `{"model":${from},"usage":{"prompt_tokens":1}}`;
    expect(read([body], { headers, streaming: false, restoreModel })).toEqual({
      text: body,
      usage: undefined,
      events: 0,
    });
  });
});

describe("any stream, cut anywhere", () => {
  const name = fc.constantFrom(restoreModel.from, restoreModel.to, "other");
  const usage = fc.record({ prompt_tokens: fc.nat(99), completion_tokens: fc.nat(99) });
  const payload = fc.record(
    {
      id: fc.string({ unit: "grapheme" }),
      response: fc.record({ model: name, text: fc.string() }, { requiredKeys: [] }),
      model: name,
      choices: fc.jsonValue({ maxDepth: 2 }),
      usage: fc.option(usage),
    },
    { requiredKeys: [] },
  );
  const event = fc.record({
    payload,
    eol: fc.constantFrom("\n", "\r\n"),
    prefix: fc.constantFrom("data: ", "data:", 'event: "model"{\ndata: ', ': "usage" {"model":\ndata:'),
    pretty: fc.boolean(),
  });
  type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

  function write(events: readonly Event[], rename: boolean): string {
    const named = (model: string): string => (rename && model === restoreModel.from ? restoreModel.to : model);
    const texts = events.map(({ payload, eol, prefix, pretty }) => {
      const out: Record<string, unknown> = { ...payload };
      if (payload.model !== undefined) out["model"] = named(payload.model);
      if (payload.response?.model !== undefined) {
        out["response"] = { ...payload.response, model: named(payload.response.model) };
      }
      const lines = JSON.stringify(out, null, pretty ? 1 : 0).split("\n");
      return `${prefix}${lines.join(`${eol}data: `)}${eol}${eol}`;
    });
    return `${texts.join("")}data: [DONE]\n\n`;
  }

  test("gives the same events, the last usage, and the restored bytes", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (events, cuts) => {
        const bytes = Buffer.from(write(events, false));
        const last = events.findLast(({ payload }) => payload.usage != null)?.payload.usage;
        const expected: Reading = {
          text: latin1(write(events, true)),
          events: events.length,
          usage:
            last == null
              ? undefined
              : counts(last.prompt_tokens, last.completion_tokens, last.prompt_tokens + last.completion_tokens),
        };
        expect(read([bytes], { restoreModel })).toEqual(expected);
        expect(read(cut(bytes, cuts), { restoreModel })).toEqual(expected);
        const unrenamed = { ...expected, text: bytes.toString("latin1") };
        expect(read(cut(bytes, cuts))).toEqual(unrenamed);
        expect(read(cut(bytes, cuts), { ignoresEvents: true })).toEqual({ ...unrenamed, events: 0 });
      }),
      { numRuns: 300 },
    );
  });

  test("any bytes pass unchanged without a name to restore, and cutting them changes nothing else", () => {
    const piece = fc.constantFrom(
      "data:",
      " ",
      "\n",
      "\r\n",
      "{",
      "}",
      "[",
      '"',
      "\\",
      ":",
      ",",
      "a",
      '"usage"',
      "\n\n",
    );
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.array(fc.oneof({ weight: 9, arbitrary: piece }, fc.constant('"model":"org/base-8b"')), { maxLength: 40 }),
    );
    fc.assert(
      fc.property(hostile, fc.array(fc.nat(), { maxLength: 10 }), fc.boolean(), (given, cuts, streaming) => {
        const bytes = Array.isArray(given) ? Buffer.from(given.join("")) : Buffer.from(given);
        const plain = read(cut(bytes, cuts), { streaming });
        expect(plain.text).toBe(bytes.toString("latin1"));
        expect(plain).toEqual(read([bytes], { streaming }));
        const restoring = read(cut(bytes, cuts), { streaming, restoreModel });
        expect(restoring).toEqual(read([bytes], { streaming, restoreModel }));
        expect(restoring.text.replaceAll('"my \\"model\\""', '"org/base-8b"')).toBe(plain.text);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("another format of answers", () => {
  const format: AnswerFormat = {
    answerUsage: () => undefined,
    usageKey: "done",
    eventUsage: (before, event) => ({
      ...counts((before?.promptTokens ?? 0) + (tokenCount(get(event, "done")) ?? 0)),
    }),
    countsEvents: false,
    modelHolder: "holder-of-the-name",
  };
  const under = (restore?: { readonly from: string; readonly to: string }): AnswerReader =>
    new AnswerReader({ headers: new Headers(), streaming: true, restoreModel: restore }, format);

  test("events are read where its key has a value, and are not counted unless it says so", () => {
    const reader = under();
    reader.chunk(Buffer.from('data: {"done":3}\n\ndata: {"done":null,"usage":{}}\n\ndata: {"done" : 4}\n\n'), true);
    expect(reader.usage?.promptTokens).toBe(7);
    expect(reader.events).toBe(0);
  });

  test("the name is restored in the event and in the member that holds it, of any length", () => {
    const text = (name: string, other: string): string =>
      `data: {"holder-of-the-name":{"model":"${name}"},"response":{"model":"${other}"},"model":"${name}"}\n\n`;
    const reader = under({ from: "a", to: "b" });
    const sent = [...text("a", "a")].map((piece) => Buffer.from(reader.chunk(Buffer.from(piece), false)).toString());
    expect(sent.join("")).toBe(text("b", "a"));
  });
});

describe("memory is short", () => {
  test("a JSON answer keeps nothing from then on, its usage is unknown, and the model's name is still put back", () => {
    const under = reader({ streaming: false, restoreModel });
    const out = [under.chunk(Buffer.from('{"usage":{"prompt_tokens":1},'), false)];
    expect(under.keptBytes).toBe(29);
    under.letGo!();
    expect(under.keptBytes).toBe(0);
    out.push(under.chunk(Buffer.from('"model":"org/base-8b"'), false));
    expect(under.keptBytes).toBe(0);
    out.push(under.chunk(Buffer.from("}"), true));
    expect(Buffer.concat(out).toString()).toBe('{"usage":{"prompt_tokens":1},"model":"my \\"model\\""}');
    expect(under.usage).toBeUndefined();
  });

  test("a stream goes on with its next event, and the one at hand is counted", () => {
    const under = reader();
    const event = 'data: {"usage":{"prompt_tokens":7,"completion_tokens":10}}\n\n';
    under.chunk(Buffer.from(event.slice(0, 20)), false);
    expect(under.keptBytes).toBe(20);
    under.letGo!();
    expect(under.keptBytes).toBe(0);
    under.chunk(Buffer.from(event.slice(20)), false);
    expect([under.events, under.usage]).toEqual([1, undefined]);
    under.letGo!();
    under.chunk(Buffer.from(event), true);
    expect([under.events, under.usage]).toEqual([2, counts(7, 10, 17)]);
  });

  test("an answer that is not read keeps nothing", () => {
    const under = reader({ headers: Headers.from([["content-encoding", "gzip"]]) });
    under.chunk(Buffer.from("data:"), false);
    expect(under.keptBytes).toBe(0);
    under.letGo!();
  });
});
