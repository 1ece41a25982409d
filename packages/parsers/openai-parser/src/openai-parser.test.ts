import { Headers, hasRole, type ParsedRequest, type Parser, RequestError } from "@pointsman/core";
import { buildPlugin, parserContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import openaiParser from "./index.ts";

const restoreModel = { from: "org/base-8b", to: "alias" };
const usage = '"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}';

pluginContract(openaiParser, { testFile: import.meta.url });
parserContract(openaiParser, {
  requests: [
    {
      path: "/v1/chat/completions",
      body: JSON.stringify({
        model: "m",
        stream: true,
        max_tokens: 5,
        cache_salt: "tenant",
        tools: [{ type: "function" }],
        messages: [
          { role: "system", content: "hi\u00e9\ud800" },
          {
            role: "user",
            content: [
              { type: "image_url", image_url: { url: "https://x/y" } },
              { type: "text", text: "a" },
            ],
          },
        ],
      }),
    },
    { path: "/v1/completions", body: '{"prompt":["a","b\\n"],"max_tokens":3}' },
    { path: "/v1/completions/render", body: '{"prompt":[1,2,4294967295]}' },
    { path: "/v1/embeddings", body: '{"model":"m","input":"x"}' },
    { path: "/v1/responses", body: '{"model":"m","input":[{"role":"user"}],"instructions":"i"}' },
    { path: "/v1/conversations", body: '{"items":[{"type":"message","role":"user","content":"x"}]}' },
    { path: "/v1/images/generations", body: '{"prompt":"cat","n":1,"size":"512x512"}' },
  ],
  answers: [
    { streaming: false, body: `{"model":"org/base-8b","choices":[],${usage}}`, restoreModel },
    {
      streaming: true,
      body: `data: {"model":"org/base-8b","choices":[]}\n\ndata: {"model":"org/base-8b",${usage}}\n\ndata: [DONE]\n\n`,
      restoreModel,
    },
    {
      streaming: true,
      body: `event: response.completed\r\ndata: {"response":{"model":"org/base-8b",${usage}}}\r\n\r\n`,
      restoreModel,
    },
  ],
});

const { instance } = buildPlugin(openaiParser);
if (!hasRole(instance, "parser")) throw new Error("openai-parser is no parser");
const parser: Parser = instance;

function parse(path: string, body: string | Uint8Array): ParsedRequest | RequestError {
  return parser.parseRequest(path, new Headers(), typeof body === "string" ? Buffer.from(body) : body);
}

function accepted(path: string, body: unknown): ParsedRequest {
  const parsed = parse(path, typeof body === "string" ? body : JSON.stringify(body));
  if (parsed instanceof RequestError) throw new Error(parsed.message);
  return parsed;
}

function refusal(path: string, body: unknown): string {
  const parsed = parse(path, typeof body === "string" ? body : JSON.stringify(body));
  if (!(parsed instanceof RequestError)) throw new Error("accepted");
  expect(parsed.httpStatus).toBe(400);
  return parsed.message;
}

/** Each prompt as a list of texts; media as `<modality:reference>`. */
function prompts(parsed: ParsedRequest): string[][] {
  return parsed
    .promptSegments()
    .map((segments) =>
      segments.map((segment) =>
        segment.kind === "text"
          ? Buffer.from(segment.bytes).toString()
          : `<${segment.modality}:${Buffer.from(segment.reference).toString()}>`,
      ),
    );
}

const chat = "/v1/chat/completions";
const message = { role: "user", content: "hi" };

test("claims the API's paths on both HTTP protocols", () => {
  expect([...parser.claims].toSorted()).toEqual([
    "chat/completions",
    "chat/completions/render",
    "completions",
    "completions/render",
    "conversations",
    "embeddings",
    "images/generations",
    "responses",
  ]);
  expect([...parser.appProtocols].toSorted()).toEqual(["http", "kubernetes.io/h2c"]);
});

describe("bodies that are no JSON object", () => {
  test.each([
    ["", "unexpected end of JSON input"],
    ["{", "unexpected end of JSON input"],
    ["{]", "invalid character ']' looking for beginning of object key string"],
    ["nope", "invalid character 'o' in literal null (expecting 'u')"],
    ['{"a":1} x', "invalid character 'x' after top-level value"],
    ["[1]", "json: cannot unmarshal array into Go value of type map[string]interface {}"],
    ['"x"', "json: cannot unmarshal string into Go value of type map[string]interface {}"],
    ["1e400", "json: cannot unmarshal number into Go value of type map[string]interface {}"],
    ["true", "json: cannot unmarshal bool into Go value of type map[string]interface {}"],
    ["false", "json: cannot unmarshal bool into Go value of type map[string]interface {}"],
  ])("%j is refused with Go's text", (body, text) => {
    expect(refusal(chat, body)).toBe(`error unmarshaling request bodyMap: ${text}`);
  });

  test("null is read as an object without fields", () => {
    expect(refusal(chat, "null")).toBe("invalid chat completions request: must have valid messages field");
  });
});

describe("required fields", () => {
  const texts = {
    conversations: "invalid conversations request: must have items field",
    responses: "invalid responses request: must have input field",
    chat: "invalid chat completions request: must have valid messages field",
    completions: "invalid completions request: must have prompt field",
    embeddings: "invalid embeddings request: must have input field",
    images: "invalid images generations request: must have prompt field",
  };

  test.each([
    ["/v1/conversations", texts.conversations],
    ["/v1/responses", texts.responses],
    ["/v1/responses/", texts.responses],
    ["responses", texts.responses],
    [chat, texts.chat],
    [`${chat}/render`, texts.chat],
    ["/v1/completions", texts.completions],
    ["/v1/completions/render", texts.completions],
    ["/v1/embeddings", texts.embeddings],
    ["/v1/images/generations", texts.images],
    ["/v1/mychat/completions", texts.completions],
    ["/v1/myresponses", texts.completions],
    ["/somewhere/else", texts.completions],
  ])("%s without its field is refused", (path, text) => {
    expect(refusal(path, { model: "m" })).toBe(text);
  });

  test.each<[string, string, unknown]>([
    ["conversations: no item", "/v1/conversations", { items: [] }],
    ["conversations: items that are no list", "/v1/conversations", { items: "x" }],
    ["conversations: an item that is no object", "/v1/conversations", { items: [1] }],
    ["conversations: a role that is no text", "/v1/conversations", { items: [{ role: 1 }] }],
    ["conversations: metadata that is no object", "/v1/conversations", { items: [{}], metadata: 1 }],
    ["conversations: a salt that is no text", "/v1/conversations", { items: [{}], cache_salt: 1 }],
    ["responses: null input", "/v1/responses", { input: null }],
    ["responses: a salt that is no text", "/v1/responses", { input: "x", cache_salt: {} }],
    ["chat: no message", chat, { messages: [] }],
    ["chat: null messages", chat, { messages: null }],
    ["chat: messages that are no list", chat, { messages: message }],
    ["chat: a message that is no object", chat, { messages: ["hi"] }],
    ["chat: a role that is no text", chat, { messages: [{ role: 1, content: "hi" }] }],
    ["chat: content that is an object", chat, { messages: [{ role: "user", content: { text: "hi" } }] }],
    ["chat: content that is a number", chat, { messages: [{ role: "user", content: 1 }] }],
    ["chat: a block that is a text", chat, { messages: [{ content: ["hi"] }] }],
    ["chat: a block type that is no text", chat, { messages: [{ content: [{ type: 1 }] }] }],
    ["chat: a text that is no text", chat, { messages: [{ content: [{ type: "text", text: 1 }] }] }],
    ["chat: an image without shape", chat, { messages: [{ content: [{ type: "image_url", image_url: 1 }] }] }],
    ["chat: an image URL that is no text", chat, { messages: [{ content: [{ image_url: { url: 1 } }] }] }],
    ["chat: audio that is a text", chat, { messages: [{ content: [{ input_audio: "x" }] }] }],
    ["chat: audio data that is no text", chat, { messages: [{ content: [{ input_audio: { data: 1 } }] }] }],
    ["chat: tools that are no list", chat, { messages: [message], tools: {} }],
    ["chat: documents that are no list", chat, { messages: [message], documents: "x" }],
    ["chat: a template that is no text", chat, { messages: [message], chat_template: [] }],
    ["chat: a flag that is no boolean", chat, { messages: [message], add_generation_prompt: "true" }],
    ["chat: template arguments that are no object", chat, { messages: [message], chat_template_kwargs: [] }],
    ["chat: a salt that is no text", chat, { messages: [message], cache_salt: 5 }],
    ["completions: empty prompt", "/v1/completions", { prompt: "" }],
    ["completions: empty list", "/v1/completions", { prompt: [] }],
    ["completions: mixed list", "/v1/completions", { prompt: ["a", 1] }],
    ["completions: mixed list, numbers first", "/v1/completions", { prompt: [1, "a"] }],
    ["completions: nested list", "/v1/completions", { prompt: [[1, 2]] }],
    ["completions: an object", "/v1/completions", { prompt: {} }],
    ["completions: a fraction", "/v1/completions", { prompt: [1.5] }],
    ["completions: a negative token", "/v1/completions", { prompt: [-1] }],
    ["completions: a token above 32 bits", "/v1/completions", { prompt: [4294967296] }],
    ["completions: a token beyond numbers", "/v1/completions", '{"prompt":[1e400]}'],
    ["embeddings: nested list", "/v1/embeddings", { input: [[1]] }],
    ["embeddings: number", "/v1/embeddings", { input: 1 }],
    ["images: a list", "/v1/images/generations", { prompt: ["x"] }],
    ["chat: tool calls that are no list", chat, { messages: [{ role: "assistant", tool_calls: {} }] }],
    ["images: a size that is no text", "/v1/images/generations", { prompt: "x", size: 512 }],
    ["images: a count that is a text", "/v1/images/generations", { prompt: "x", n: "2" }],
    ["images: a count with a fraction", "/v1/images/generations", '{"prompt":"x","n":1.0}'],
    ["images: a count beyond 64 bits", "/v1/images/generations", '{"prompt":"x","n":9223372036854775808}'],
    ["images: steps that are a list", "/v1/images/generations", { prompt: "x", num_inference_steps: [1] }],
    ["images: empty prompt", "/v1/images/generations", { prompt: "" }],
  ])("%s is refused", (name, path, body) => {
    expect(refusal(path, body)).toBe(texts[name.slice(0, name.indexOf(":")) as keyof typeof texts]);
  });

  test.each<[string, string, unknown]>([
    ["null content", chat, { messages: [{ role: "assistant", content: null }] }],
    ["no content and no role", chat, { messages: [{}] }],
    ["a null message", chat, { messages: [null] }],
    ["null for every optional field", chat, { messages: [message], tools: null, documents: null, cache_salt: null }],
    ["an unknown block", chat, { messages: [{ content: [{ type: "refusal", refusal: "no" }, null] }] }],
    ["input that is a list", "/v1/responses", { input: [] }],
    ["input that is false", "/v1/responses", { input: false }],
    ["tool calls that are a list", chat, { messages: [{ role: "assistant", tool_calls: [{}] }, { tool_calls: null }] }],
    [
      "counts and size of images",
      "/v1/images/generations",
      '{"prompt":"x","n":-9223372036854775808,"size":"512x512","num_inference_steps":null}',
    ],
    ["a salt of any kind for images", "/v1/images/generations", { prompt: "x", cache_salt: 1 }],
  ])("%s is accepted", (_name, path, body) => {
    expect(accepted(path, body).stream).toBe(false);
  });
});

describe("fields", () => {
  test.each<[string, unknown, string | undefined]>([
    ["a text", "m", "m"],
    ["a text with escapes", 'a/"é', 'a/"é'],
    ["a number", 5, undefined],
    ["null", null, undefined],
  ])("model is %s", (_name, model, read) => {
    expect(accepted(chat, { messages: [message], model }).model).toBe(read);
  });

  test.each<[unknown, boolean]>([
    [true, true],
    [false, false],
    ["true", false],
    [1, false],
    [null, false],
  ])("stream %j reads as %s", (stream, read) => {
    expect(accepted(chat, { messages: [message], stream }).stream).toBe(read);
  });

  test.each<[string, string, number | undefined]>([
    [chat, '"max_completion_tokens":7,"max_tokens":9', 7],
    [chat, '"max_tokens":9', 9],
    [chat, '"max_completion_tokens":0,"max_tokens":9', 0],
    [chat, '"max_completion_tokens":"7","max_tokens":9', 9],
    [chat, '"max_completion_tokens":-1,"max_tokens":9', 9],
    [chat, '"max_completion_tokens":1.5,"max_tokens":9', 9],
    [chat, '"max_completion_tokens":null,"max_tokens":9.0', 9],
    [chat, '"max_completion_tokens":1e400', undefined],
    [chat, '"max_completion_tokens":-0', 0],
    [chat, '"max_output_tokens":7', undefined],
    ["/v1/completions", '"max_tokens":3', 3],
    ["/v1/completions", '"max_completion_tokens":3', undefined],
    ["/v1/responses", '"max_output_tokens":4,"max_tokens":5', 4],
    ["/v1/embeddings", '"max_tokens":5', undefined],
    ["/v1/conversations", '"max_tokens":5', undefined],
    ["/v1/images/generations", '"max_tokens":5', undefined],
  ])("%s with %s is capped at %s", (path, caps, cap) => {
    const needed = '"messages":[{}],"prompt":"p","input":"i","items":[{}]';
    expect(accepted(path, `{${needed},${caps}}`).maxOutputTokens).toBe(cap);
  });

  test("the salt is read where the API has one, empty is none", () => {
    expect(accepted(chat, { messages: [message], cache_salt: "s" }).cacheSalt).toBe("s");
    expect(accepted(chat, { messages: [message], cache_salt: "" }).cacheSalt).toBeUndefined();
    expect(accepted("/v1/images/generations", { prompt: "p", cache_salt: "s" }).cacheSalt).toBeUndefined();
  });

  test("of repeated members the last one counts", () => {
    const parsed = accepted(chat, '{"messages":5,"model":"a","messages":[{"content":"x","content":"y"}],"model":"b"}');
    expect(parsed.model).toBe("b");
    expect(prompts(parsed)).toEqual([["y"]]);
  });
});

describe("prompts", () => {
  test("chat: tools as they stand, then role, text and media of each message in order", () => {
    const body = `{"messages":[{"role":"system","content":"be \\"kind\\""},{"role":"user","content":[
      {"type":"text","text":"what"},{"type":"image_url","image_url":{"url":"https:\\/\\/x/y.png"}},
      {"type":"video_url","video_url":{"url":"v"}},{"type":"audio_url","audio_url":{"url":"a"}},
      {"type":"input_audio","input_audio":{"format":"wav","data":"UklG"}},{"type":"image_url","image_url":"bare"},
      {"type":"text","text":""},{"type":"other","text":"unread"}]},{"role":"","content":null}],
      "tools":[ {"b":1, "a":2} ]}`;
    expect(prompts(accepted(chat, body))).toEqual([
      [
        '[ {"b":1, "a":2} ]',
        "system",
        'be "kind"',
        "user",
        "what",
        "<image:https://x/y.png>",
        "<video:v>",
        "<audio:a>",
        "<audio:UklGwav>",
        "<image:bare>",
      ],
    ]);
  });

  test("chat: an empty list of tools adds nothing", () => {
    expect(prompts(accepted(chat, { messages: [message], tools: [] }))).toEqual([["user", "hi"]]);
  });

  test("text without escapes is not copied", () => {
    const body = Buffer.from(JSON.stringify({ messages: [message] }));
    const parsed = parse(chat, body);
    if (parsed instanceof RequestError) throw new Error(parsed.message);
    for (const segment of parsed.promptSegments()[0]!) {
      expect(segment.kind === "text" && segment.bytes.buffer).toBe(body.buffer);
    }
  });

  test.each<[string, string, unknown, string[][], number[][] | undefined]>([
    ["one text", "/v1/completions", { prompt: "a b" }, [["a b"]], undefined],
    ["several texts", "/v1/completions", { prompt: ["a", "", "b"] }, [["a"], [], ["b"]], undefined],
    ["tokens", "/v1/completions", { prompt: [0, 4294967295, 7] }, [], [[0, 4294967295, 7]]],
    ["texts to embed", "/v1/embeddings", '{"input": ["a", "b"]}', [['["a", "b"]']], undefined],
    ["a text to embed", "/v1/embeddings", { input: "a" }, [['"a"']], undefined],
    ["tokens to embed", "/v1/embeddings", { input: [1, 2] }, [], [[1, 2]]],
    ["items", "/v1/conversations", '{"items":[ {"role":"user"}]}', [['[ {"role":"user"}]']], undefined],
    ["an image", "/v1/images/generations", { prompt: "cat" }, [], undefined],
  ])("%s", (_name, path, body, texts, tokens) => {
    const parsed = accepted(path, body);
    expect(prompts(parsed)).toEqual(texts);
    expect(parsed.promptTokenIds()?.map((ids) => [...ids])).toEqual(tokens);
  });

  test.each([
    ['{"input":"x"}', '[{"input":"x"}]'],
    ['{"input":[1],"instructions":"i"}', '[{"instructions":"i"},{"input":[1]}]'],
    ['{"input":"x","tools":[{}],"instructions":null}', '[{"tools":[{}]},{"input":"x"}]'],
    ['{"input":"x","tools":[],"instructions":"i"}', '[{"instructions":"i"},{"tools":[]},{"input":"x"}]'],
  ])("responses: %s", (body, text) => {
    expect(prompts(accepted("/v1/responses", body)).map((parts) => parts.join(""))).toEqual([text]);
  });
});

describe("rewriteModel", () => {
  const rewritten = (body: string, model: string): string =>
    Buffer.concat(accepted("/v1/completions", body).rewriteModel?.(model) ?? []).toString();

  test.each([
    ['{"model" : "a" ,"prompt":"p"}\n', '{"model" : "b" ,"prompt":"p"}\n'],
    [' { "prompt":"p","n":1e400, "x":"\\ud800"}', ' {"model":"b", "prompt":"p","n":1e400, "x":"\\ud800"}'],
    ['{"model":{"a":[1]},"prompt":"p"}', '{"model":"b","prompt":"p"}'],
    ['{"model":"a","prompt":"p","mod\\u0065l":null}', '{"model":"b","prompt":"p","mod\\u0065l":"b"}'],
    ['{"x":{"model":"a"},"prompt":"p","model":"a"}', '{"x":{"model":"a"},"prompt":"p","model":"b"}'],
  ])("%s", (body, expected) => {
    expect(rewritten(body, "b")).toBe(expected);
  });

  test("the new name is escaped", () => {
    const model = 'a"\\\n\u0000\ud800é😀';
    expect(JSON.parse(rewritten('{"prompt":"p"}', model))).toEqual({ model, prompt: "p" });
  });

  test("any body keeps its bytes around the name, and every reading finds the new name", () => {
    const key = fc.oneof(fc.constantFrom("model", "Model", "prompt_", "models"), fc.string({ unit: "grapheme" }));
    const space = fc.constantFrom("", " ", "\n\t ", "\r\n");
    const member = fc.record({ key, value: fc.jsonValue({ maxDepth: 2 }), space: fc.array(space, { minLength: 4 }) });
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), space, fc.string(), (members, lead, model) => {
        const pad = (index: number, from: readonly string[]): string => from[index] ?? "";
        const write = (replacement: string | undefined): string => {
          const parts = members.map(({ key, value, space }) => {
            const isModel = key === "model" && replacement !== undefined;
            return `${pad(0, space)}${JSON.stringify(key)}${pad(1, space)}:${pad(2, space)}${
              isModel ? replacement : JSON.stringify(value)
            }${pad(3, space)}`;
          });
          return `{${['"prompt":"p"', ...parts].join(",")}}`;
        };
        const body = `${lead}${write(undefined)}`;
        const named = members.some((member) => member.key === "model");
        const expected = named
          ? `${lead}${write(JSON.stringify(model))}`
          : `${lead}{"model":${JSON.stringify(model)},${write(undefined).slice(1)}`;
        // A member called `prompt` may make this another request; the generator has none.
        const result = rewritten(body, model);
        expect(result).toBe(expected);
        expect(accepted("/v1/completions", result).model).toBe(Buffer.from(model).toString());
      }),
    );
  });
});

describe("hostile bodies", () => {
  const paths = fc.constantFrom(chat, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/conversations");

  function useAll(parsed: ParsedRequest | RequestError): void {
    if (parsed instanceof RequestError) return;
    for (const segments of parsed.promptSegments()) {
      for (const segment of segments) {
        expect((segment.kind === "text" ? segment.bytes : segment.reference).length).toBeGreaterThan(0);
      }
    }
    parsed.promptTokenIds();
    expect(parse("/v1/completions", Buffer.concat(parsed.rewriteModel?.("m") ?? []))).toBeDefined();
  }

  test("any bytes are refused or read, never thrown at", () => {
    fc.assert(fc.property(paths, fc.uint8Array({ maxLength: 64 }), (path, body) => useAll(parse(path, body))));
  });

  test("any JSON in the API's fields is refused or read, never thrown at", () => {
    const field = fc.jsonValue({ maxDepth: 4 });
    const part = fc.record({
      type: fc.constantFrom("text", "image_url", "input_audio"),
      text: field,
      image_url: field,
    });
    const messages = fc.array(fc.oneof(field, fc.record({ role: field, content: fc.oneof(field, fc.array(part)) })));
    const body = fc.record({ messages, prompt: field, input: field, items: field, tools: field, model: field });
    fc.assert(fc.property(paths, body, (path, value) => useAll(parse(path, Buffer.from(JSON.stringify(value))))));
  });

  test.each([
    ["deep nesting in a message", `{"messages":[{"content":"x","a":${"[".repeat(5000)}${"]".repeat(5000)}}]}`],
    ["deep nesting as content", `{"messages":[{"content":${"[".repeat(5000)}${"]".repeat(5000)}}]}`],
    ["nesting beyond the limit", `{"a":${'{"a":'.repeat(20_000)}`],
    ["a huge text", `{"messages":[{"content":"${"x\\u00e9".repeat(500_000)}"}]}`],
    ["lone surrogates", '{"model":"\\ud800","messages":[{"role":"\\udc00","content":"\\ud83d"}]}'],
    ["numbers beyond range", '{"messages":[{"content":"x"}],"max_tokens":1e999,"temperature":-1e999}'],
    ["very many messages", `{"messages":[${'{"role":"user","content":"x"},'.repeat(100_000)}{}]}`],
  ])("%s", (_name, body) => {
    useAll(parse(chat, body));
  });

  test.each([
    ["messages", chat, `{"messages":[${"{},".repeat(65_536)}{}]}`],
    ["blocks", chat, `{"messages":[{"content":[${"{},".repeat(65_535)}{}]}]}`],
    ["texts", "/v1/completions", `{"prompt":[${'"",'.repeat(65_536)}""]}`],
  ])("65,536 parts of a prompt are read, one more is refused: %s", (_name, path, body) => {
    expect(refusal(path, body)).toBe("the prompt has more than 65536 parts");
    expect(accepted(path, body.replace(/\[("",|\{\},)/, "[")).promptSegments().length).toBeGreaterThan(0);
  });

  test("texts to embed are one prompt, as many as they are", () => {
    const body = `{"input":[${'"a",'.repeat(70_000)}"a"]}`;
    expect(accepted("/v1/embeddings", body).promptSegments()).toHaveLength(1);
  });

  test("bytes that are not UTF-8 stay as they are in prompts and bodies", () => {
    const body = Buffer.from('{"prompt":"a?b"}');
    body[body.indexOf("?")] = 0xff;
    const parsed = parse("/v1/completions", body);
    if (parsed instanceof RequestError) throw new Error(parsed.message);
    const [segment] = parsed.promptSegments()[0]!;
    expect(segment?.kind === "text" && [...segment.bytes]).toEqual([0x61, 0xff, 0x62]);
    expect(Buffer.concat(parsed.rewriteModel?.("m") ?? []).includes(0xff)).toBe(true);
  });
});
