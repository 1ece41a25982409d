import { Headers, hasRole, type ParsedRequest, type Parser, RequestError, type Usage } from "@pointsman/core";
import { buildPlugin, parserContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import anthropicParser from "./index.ts";

pluginContract(anthropicParser, { testFile: import.meta.url });

const restoreModel = { from: "org/base-8b", to: "claude" };
const start =
  'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"org/base-8b","role":"assistant",' +
  '"usage":{"input_tokens":25,"output_tokens":1,"cache_read_input_tokens":16}}}\n\n';
const delta =
  'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",' +
  '"text":"\\"usage\\": {\\"model\\":\\"org/base-8b\\"}"}}\n\n';
const end =
  'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}\n\n' +
  'event: message_stop\ndata: {"type":"message_stop"}\n\n';

parserContract(anthropicParser, {
  requests: [
    {
      path: "/v1/messages",
      body: JSON.stringify({
        model: "claude",
        max_tokens: 64,
        stream: true,
        cache_salt: "tenant",
        system: [{ type: "text", text: 'be "kind"' }],
        tools: [{ name: "get", description: "Gets.", input_schema: { type: "object" }, strict: true }],
        messages: [
          { role: "user", content: "hi\u00e9\ud800" },
          { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "get", input: { b: 1, a: [2] } }] },
          {
            role: "user",
            content: [
              { type: "tool_result", tool_use_id: "t1", content: [{ type: "text", text: "found" }] },
              { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw==" } },
            ],
          },
        ],
      }),
    },
    { path: "/v1/messages", body: '{"messages":[{}]}' },
    { path: "/v1/messages/count_tokens", body: "not read" },
  ],
  answers: [
    {
      streaming: false,
      body: '{"id":"msg_1","model":"org/base-8b","usage":{"input_tokens":7,"output_tokens":10}}',
      restoreModel,
    },
    { streaming: true, body: start + delta + end, restoreModel },
  ],
});

const { instance } = buildPlugin(anthropicParser);
if (!hasRole(instance, "parser")) throw new Error("anthropic-parser is no parser");
const parser: Parser = instance;
const path = "/v1/messages";

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

/** The prompt as texts; media as `<modality:reference>`. */
function prompt(parsed: ParsedRequest): string[] {
  const prompts = parsed.promptSegments();
  expect(prompts).toHaveLength(1);
  return prompts[0]!.map((segment) =>
    segment.kind === "text"
      ? Buffer.from(segment.bytes).toString()
      : `<${segment.modality}:${Buffer.from(segment.reference).toString()}>`,
  );
}

const hi = { role: "user", content: "hi" };
const contentFault =
  "error parsing messages request: anthropic content: must be a string or an array of content blocks";
const mismatch = (what: string, field: string, type: string): string =>
  `error parsing messages request: json: cannot unmarshal ${what} into Go struct field ${field} of type ${type}`;

test("claims the API's paths on both HTTP protocols", () => {
  expect(parser.claims).toEqual(["messages", "messages/count_tokens"]);
  expect([...parser.appProtocols].toSorted()).toEqual(["http", "kubernetes.io/h2c"]);
});

describe("paths", () => {
  test.each(["/v1/messages", "/v1/messages/", "messages", "/a/b/messages"])("%s holds messages", (at) => {
    expect(accepted({ model: "m", messages: [hi] }, at).model).toBe("m");
  });

  test.each(["/v1/messages/count_tokens", "messages/count_tokens/"])("a body for %s passes unread", (at) => {
    for (const body of ["", "not json", '{"model":"m","messages":[]}']) {
      const parsed = accepted(body, at);
      expect(parsed.skipResponse).toBe(true);
      expect(parsed.model).toBeUndefined();
      expect(parsed.rewriteModel).toBeUndefined();
      expect(parsed.promptSegments()).toEqual([]);
    }
  });

  test.each(["/v1/mymessages", "/v1/messages/batches", "/v1/completions", ""])("%j is not served", (at) => {
    expect(refusal({ messages: [hi] }, at)).toBe(`unsupported API endpoint: ${at}`);
  });
});

describe("bodies that are refused, with Go's texts", () => {
  test.each<[string, string]>([
    ["", "error unmarshaling request body: unexpected end of JSON input"],
    ["nope", "error unmarshaling request body: invalid character 'o' in literal null (expecting 'u')"],
    [
      "[]",
      "error unmarshaling request body: json: cannot unmarshal array into Go value of type map[string]interface {}",
    ],
    ["null", "invalid messages request: must have at least one message"],
    ["{}", "invalid messages request: must have at least one message"],
    ['{"messages":null}', "invalid messages request: must have at least one message"],
    ['{"messages":[]}', "invalid messages request: must have at least one message"],
    ['{"messages":"x"}', mismatch("string", "MessagesRequest.messages", "[]requesthandling.AnthropicMessage")],
    ['{"messages":[1]}', mismatch("number", "MessagesRequest.messages", "requesthandling.AnthropicMessage")],
    ['{"messages":[{"role":1}]}', mismatch("number", "AnthropicMessage.messages.role", "string")],
    ['{"messages":[{"role":1,"content":5}]}', contentFault],
    ['{"cache_salt":1,"messages":[{"content":{}}]}', contentFault],
    ['{"messages":[{"content":[1]}]}', contentFault],
    ['{"messages":[{"content":[{"type":1}]}]}', contentFault],
    ['{"messages":[{"content":[{"thinking":false}]}]}', contentFault],
    ['{"messages":[{"content":[{"source":"x"}]}]}', contentFault],
    ['{"messages":[{"content":[{"source":{"data":1}}]}]}', contentFault],
    ['{"messages":[{"content":[{"content":5}]}]}', contentFault],
    ['{"messages":[{"content":[{"content":[{"content":[{"text":1}]}]}]}]}', contentFault],
    ['{"messages":[{}],"system":{}}', contentFault],
    ['{"messages":[{}],"tools":{}}', mismatch("object", "MessagesRequest.tools", "[]requesthandling.AnthropicTool")],
    ['{"messages":[{}],"tools":[1]}', mismatch("number", "MessagesRequest.tools", "requesthandling.AnthropicTool")],
    ['{"messages":[{}],"tools":[{"name":true}]}', mismatch("bool", "AnthropicTool.tools.name", "string")],
    ['{"messages":[{}],"tools":[{"description":[]}]}', mismatch("array", "AnthropicTool.tools.description", "string")],
    ['{"messages":[{}],"tools":[{"strict":1}]}', mismatch("number", "AnthropicTool.tools.strict", "bool")],
    [
      '{"messages":[{}],"tools":[{"defer_loading":"x"}]}',
      mismatch("string", "AnthropicTool.tools.defer_loading", "bool"),
    ],
    ['{"messages":[{}],"cache_salt":{}}', mismatch("object", "MessagesRequest.cache_salt", "string")],
    ['{"cache_salt":1,"messages":7}', mismatch("number", "MessagesRequest.cache_salt", "string")],
    [
      '{"messages":7,"cache_salt":1}',
      mismatch("number", "MessagesRequest.messages", "[]requesthandling.AnthropicMessage"),
    ],
  ])("%s", (body, text) => {
    expect(refusal(body)).toBe(text);
  });

  test.each<[string, unknown]>([
    ["a null message", { messages: [null] }],
    ["null for every optional field", { messages: [{ role: null, content: null }], system: null, tools: null }],
    ["unknown blocks and null blocks", { messages: [{ content: [{ type: "redacted_thinking", data: 1 }, null] }] }],
    ["input of any kind", { messages: [{ content: [{ type: "tool_use", input: 5 }] }] }],
    ["schemas of any kind", { messages: [hi], tools: [null, { input_schema: 5, strict: null }] }],
    ["a message that holds nothing of the API", { messages: [{ name: 5 }] }],
  ])("%s is accepted", (_name, body) => {
    expect(accepted(body).stream).toBe(false);
  });
});

describe("fields", () => {
  test("model, stream, limit and salt are read", () => {
    const body = { model: "m\u00e9", stream: true, max_tokens: 5, cache_salt: "s", messages: [hi] };
    expect(accepted(body)).toMatchObject({ model: "m\u00e9", stream: true, maxOutputTokens: 5, cacheSalt: "s" });
  });

  test.each([
    ['"max_tokens":0', 0],
    ['"max_tokens":1.5', undefined],
    ['"max_tokens":-1', undefined],
    ['"max_tokens":"7"', undefined],
    ['"max_completion_tokens":7', undefined],
  ])("%s is capped at %s", (cap, expected) => {
    expect(accepted(`{"messages":[{}],${cap}}`).maxOutputTokens).toBe(expected);
  });

  test("what is of another kind is left to the model server", () => {
    const parsed = accepted({ model: 5, stream: "true", cache_salt: "", messages: [hi] });
    expect(parsed.model).toBeUndefined();
    expect(parsed.stream).toBe(false);
    expect(parsed.cacheSalt).toBeUndefined();
  });

  test("of repeated members the last one counts", () => {
    const parsed = accepted('{"messages":5,"model":"a","messages":[{"content":"x","content":"y"}],"model":"b"}');
    expect(parsed.model).toBe("b");
    expect(prompt(parsed)).toEqual(["y"]);
  });

  test("lone surrogates and bytes that are not UTF-8 are kept as the encoding of U+FFFD and as they are", () => {
    const body = Buffer.from('{"model":"\\ud800","messages":[{"content":"\\udc00"},{"content":"?"}]}');
    body[body.indexOf("?")] = 0xff;
    const parsed = parse(body);
    if (parsed instanceof RequestError) throw new Error(parsed.message);
    expect(parsed.model).toBe("\ufffd");
    const bytes = parsed.promptSegments()[0]!.map((segment) => segment.kind === "text" && [...segment.bytes]);
    expect(bytes).toEqual([[0xef, 0xbf, 0xbd], [0xff]]);
  });
});

describe("the prompt", () => {
  test("is tools as they stand, system, then role and blocks of each message", () => {
    const body = `{"messages":[
      {"role":"user","content":"a\\n"},
      {"role":"assistant","content":[
        {"type":"thinking","thinking":"hm","signature":"s"},
        {"type":"text","text":"b"},{"type":"text","text":""},
        {"type":"tool_use","id":"t1","name":"get","input":{"z":1, "a":2}}]},
      {"role":"user","content":[
        {"type":"tool_result","tool_use_id":"t1","content":[
          {"type":"image","source":{"type":"url","url":"https:\\/\\/x/y.png"}},
          {"type":"text","text":"c"},{"type":"text","text":"d"}]},
        {"type":"tool_result","tool_use_id":"t2","content":"e"},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},
        {"type":"image","source":{"type":"base64","data":"BBBB"}},
        {"type":"image","source":{"type":"file","file_id":"f"}},
        {"type":"image"},
        {"type":"document","text":"unread"}]}],
      "system":[{"type":"text","text":"x-anthropic-billing-header: cc=1"},{"type":"text","text":"s"},{"type":"x","text":"y"}],
      "tools":[ {"name":"get", "input_schema":{"b":1,"a":2}} ]}`;
    expect(prompt(accepted(body))).toEqual([
      '[ {"name":"get", "input_schema":{"b":1,"a":2}} ]',
      "s",
      "user",
      "a\n",
      "assistant",
      "hm",
      "b",
      "t1",
      "get",
      '{"z":1, "a":2}',
      "user",
      "c",
      "\n",
      "d",
      "<image:https://x/y.png>",
      "e",
      "<image:data:image/png;base64,AAAA>",
      "<image:data:image/jpeg;base64,BBBB>",
    ]);
  });

  test("a system prompt that is a text stays whole, an empty list of tools adds nothing", () => {
    const body = { system: "x-anthropic-billing-header", tools: [], messages: [hi] };
    expect(prompt(accepted(body))).toEqual(["x-anthropic-billing-header", "user", "hi"]);
  });

  test("text without escapes is not copied", () => {
    const body = Buffer.from(JSON.stringify({ messages: [hi] }));
    const parsed = parse(body);
    if (parsed instanceof RequestError) throw new Error(parsed.message);
    for (const segment of parsed.promptSegments()[0]!) {
      expect(segment.kind === "text" && segment.bytes.buffer).toBe(body.buffer);
    }
  });
});

test("another model's name changes nothing else in a body", () => {
  const body = '{ "model" : "a" ,"messages":[{"content":"\\ud800"}],"n":1e400,"model":"x" }\n';
  expect(Buffer.concat(accepted(body).rewriteModel?.('b"') ?? []).toString()).toBe(
    '{ "model" : "b\\"" ,"messages":[{"content":"\\ud800"}],"n":1e400,"model":"b\\"" }\n',
  );
});

describe("hostile bodies", () => {
  test.each([
    [
      "nesting beyond what is looked at",
      `{"messages":[{"content":${'[{"content":'.repeat(3000)}5${"}]".repeat(3000)}}]}`,
    ],
    ["a huge text", `{"messages":[{"content":"${"x\\u00e9".repeat(500_000)}"}]}`],
    ["very many messages", `{"messages":[${'{"role":"user","content":"x"},'.repeat(60_000)}{}]}`],
    ["very many blocks", `{"messages":[{"content":[${'{"type":"text","text":"x"},'.repeat(60_000)}null]}]}`],
    [
      "deep input of a tool",
      `{"messages":[{"content":[{"type":"tool_use","input":${"[".repeat(5000)}${"]".repeat(5000)}}]}]}`,
    ],
  ])("%s is read", (_name, body) => {
    const parsed = accepted(body);
    expect(parsed.promptSegments()).toHaveLength(1);
  });

  test.each([
    ["messages", `{"messages":[${"{},".repeat(65_536)}{}]}`],
    ["blocks", `{"messages":[{"content":[${"{},".repeat(65_535)}{}]}]}`],
    ["blocks in results", `{"messages":[{"content":[{"content":[${"{},".repeat(65_534)}{}]}]}]}`],
    ["blocks of the system prompt", `{"messages":[{}],"system":[${"{},".repeat(65_535)}{}]}`],
    ["tools", `{"messages":[{}],"tools":[${"{},".repeat(65_535)}{}]}`],
  ])("65,536 parts are read, one more is refused: %s", (_name, body) => {
    expect(refusal(body)).toBe("error parsing messages request: the prompt has more than 65536 parts");
    expect(accepted(body.replace("{},", "")).promptSegments()).toHaveLength(1);
  });

  test("nesting beyond 10,000 levels is refused", () => {
    expect(refusal(`{"messages":${"[".repeat(20_000)}`)).toBe(
      "error unmarshaling request body: arrays and objects nest deeper than 10000 levels",
    );
  });

  test("any JSON in the API's fields is refused or read, never thrown at", () => {
    const field = fc.jsonValue({ maxDepth: 4 });
    const block = fc.record(
      {
        type: fc.constantFrom("text", "image", "tool_use", "tool_result", "thinking"),
        ...{ text: field, source: field, input: field, content: field, thinking: field },
      },
      { requiredKeys: [] },
    );
    const content = fc.oneof(field, fc.array(fc.oneof(field, block)));
    const messages = fc.array(fc.oneof(field, fc.record({ role: fc.constant("user"), content })));
    const body = fc.record({ messages, system: content, tools: field, model: field }, { requiredKeys: ["messages"] });
    fc.assert(
      fc.property(body, (value) => {
        const parsed = parse(JSON.stringify(value));
        if (parsed instanceof RequestError) return;
        for (const segment of parsed.promptSegments()[0]!) {
          expect((segment.kind === "text" ? segment.bytes : segment.reference).length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 300 },
    );
  });
});

const counts = (prompt?: number, completion?: number, total?: number, cached?: number): Usage => ({
  promptTokens: prompt,
  completionTokens: completion,
  totalTokens: total,
  cachedTokens: cached,
});

interface Reading {
  readonly text: string;
  readonly usage: Usage | undefined;
  readonly events: number;
}

function read(pieces: readonly string[], streaming: boolean, restore?: typeof restoreModel): Reading {
  const reader = parser.responseReader(undefined, { headers: new Headers(), streaming, restoreModel: restore });
  const sent = pieces.map((piece, i) =>
    Buffer.from(reader.chunk(Buffer.from(piece, "latin1"), i === pieces.length - 1)),
  );
  return { text: Buffer.concat(sent).toString("latin1"), usage: reader.usage, events: reader.events };
}

describe("usage", () => {
  const endWith = (more: string): string => end.replace('"usage":{', `"usage":{${more},`);
  const lateEnd = endWith('"input_tokens":31,"cache_read_input_tokens":8');
  const nullEnd = endWith('"input_tokens":null,"cache_read_input_tokens":null');
  const zeroEnd = endWith('"input_tokens":0,"cache_read_input_tokens":0');

  test.each<[string, string, Usage | undefined]>([
    ["both halves", '{"input_tokens":7,"output_tokens":10}', counts(7, 10, 17)],
    ["cached", '{"input_tokens":7,"output_tokens":0,"cache_read_input_tokens":4}', counts(7, 0, 7, 4)],
    ["one half", '{"output_tokens":3}', counts(undefined, 3, 3)],
    ["no counts", '{"input_tokens":-1,"output_tokens":{}}', counts()],
    ["names of another API", '{"prompt_tokens":7}', counts()],
    ["null", "null", undefined],
    ["a list", "[1]", undefined],
  ])("of a JSON answer: %s", (_name, usage, expected) => {
    const body = `{"type":"message","usage":${usage}}`;
    expect(read([body], false)).toEqual({ text: body, usage: expected, events: 0 });
  });

  test.each<[string, string, Usage | undefined]>([
    ["start and delta", start + delta + end, counts(25, 15, 40, 16)],
    ["the start alone", start, counts(25, undefined, 25, 16)],
    ["the delta alone", end, counts(undefined, 15, 15)],
    ["a delta that counts on", start + end.replace("15", "9") + end, counts(25, 15, 40, 16)],
    ["a prompt that the delta tells", start.replace("25", "0").replace("16", "0") + lateEnd, counts(31, 15, 46, 8)],
    ["a delta without the prompt's counts", start + nullEnd, counts(25, 15, 40, 16)],
    ["a delta that reports no prompt", start + zeroEnd, counts(25, 15, 40, 16)],
    ["a null usage later", `${start + end}data: {"type":"message_delta","usage":null}\n\n`, counts(25, 15, 40, 16)],
    ["usage in other events", 'data: {"type":"ping","usage":{"input_tokens":5}}\n\n', undefined],
    ["usage outside the message", 'data: {"type":"message_start","usage":{"input_tokens":5}}\n\n', undefined],
    ["CRLF", (start + end).replaceAll("\n", "\r\n"), counts(25, 15, 40, 16)],
    ["text about usage", delta, undefined],
  ])("of a stream: %s, wherever it is cut", (_name, text, expected) => {
    const whole = { text, usage: expected, events: 0 };
    expect(read([text], true)).toEqual(whole);
    for (let place = 1; place < text.length; place++) {
      expect(read([text.slice(0, place), text.slice(place)], true).usage).toEqual(expected);
    }
  });
});

test("the model's name is restored in answers and in the message that starts a stream, nowhere else", () => {
  const answer = '{"model":"org/base-8b","content":[{"text":"\\"model\\":\\"org/base-8b\\""}]}';
  expect(read([answer], false, restoreModel).text).toBe(answer.replace("org/base-8b", "claude"));
  expect(read([start + delta + end], true, restoreModel).text).toBe(
    start.replace("org/base-8b", "claude") + delta + end,
  );
  for (let place = 1; place < start.length; place++) {
    expect(read([start.slice(0, place), start.slice(place)], true, restoreModel).text).toBe(
      start.replace("org/base-8b", "claude"),
    );
  }
});

test("random streams, cut at random, give the same usage and bytes", () => {
  const count = fc.nat(99);
  const event = fc.oneof(
    fc.record({
      type: fc.constant("message_start"),
      message: fc.record({
        model: fc.constantFrom("org/base-8b", "other"),
        usage: fc.record({ input_tokens: count, cache_read_input_tokens: count }, { requiredKeys: [] }),
      }),
    }),
    fc.record({
      type: fc.constant("message_delta"),
      usage: fc.record({ output_tokens: count, input_tokens: count }, { requiredKeys: ["output_tokens"] }),
    }),
    fc.record({
      type: fc.constant("content_block_delta"),
      delta: fc.record({ text: fc.string({ unit: "grapheme" }) }),
    }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (events, cuts) => {
      const write = (name: string): string =>
        events
          .map((each) =>
            "message" in each && each.message.model === "org/base-8b"
              ? { ...each, message: { ...each.message, model: name } }
              : each,
          )
          .map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`)
          .join("");
      const text = Buffer.from(write("org/base-8b")).toString("latin1");
      const places = cuts.map((place) => place % (text.length + 1)).toSorted((a, b) => a - b);
      const pieces = [...places, text.length].map((to, i) => text.slice(places[i - 1] ?? 0, to));
      const reading = read(pieces, true, restoreModel);
      expect(reading.text).toBe(Buffer.from(write("claude")).toString("latin1"));
      let input: number | undefined;
      let output: number | undefined;
      for (const each of events) {
        if ("message" in each) input = each.message.usage.input_tokens ?? input;
        if ("usage" in each) {
          output = each.usage.output_tokens;
          input = each.usage.input_tokens || input;
        }
      }
      expect(reading.usage?.promptTokens).toBe(input);
      expect(reading.usage?.completionTokens).toBe(output);
      if (input !== undefined || output !== undefined)
        expect(reading.usage?.totalTokens).toBe((input ?? 0) + (output ?? 0));
    }),
    { numRuns: 300 },
  );
});
