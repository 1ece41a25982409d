import { readFileSync } from "node:fs";
import { Headers, hasRole, type ParsedRequest, type Parser, RequestError } from "@pointsman/core";
import { parseOpenAiRequest } from "@pointsman/openai-parser";
import { buildPlugin, parserContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Field, frame, message } from "../test/encode.ts";
import vertexaiParser from "./index.ts";

pluginContract(vertexaiParser, { testFile: import.meta.url });

const golden: { readonly frames: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("./golden/vertex-frames.json", import.meta.url), "utf8"),
);
const goldenFrame = (name: string): Buffer => Buffer.from(golden.frames[name]!, "hex");

const service = "/google.cloud.aiplatform.v1beta1.PredictionService";
const chat = `${service}/ChatCompletions`;
const streamRaw = `${service}/StreamRawPredict`;
const raw = `${service}/RawPredict`;
const requestTypes: readonly (readonly [path: string, type: string])[] = [
  [chat, "ChatCompletionsRequest"],
  [streamRaw, "StreamRawPredictRequest"],
  [raw, "RawPredictRequest"],
];

parserContract(vertexaiParser, {
  requests: [
    { path: chat, body: goldenFrame("chat") },
    { path: streamRaw, body: goldenFrame("stream raw") },
    { path: raw, body: goldenFrame("raw") },
  ],
  answers: [
    { streaming: false, body: goldenFrame("answer") },
    { streaming: true, body: Buffer.concat([goldenFrame("answer"), goldenFrame("answer")]) },
    { streaming: true, body: Buffer.concat([goldenFrame("answer event"), goldenFrame("answer event")]) },
  ],
});

const { instance } = buildPlugin(vertexaiParser);
if (!hasRole(instance, "parser")) throw new Error("vertexai-parser is no parser");
const parser: Parser = instance;

function accepted(path: string, body: Uint8Array): ParsedRequest {
  const parsed = parser.parseRequest(path, new Headers(), body);
  if (parsed instanceof RequestError) throw new Error(parsed.message);
  return parsed;
}

function refusal(path: string, body: Uint8Array): string {
  const parsed = parser.parseRequest(path, new Headers(), body);
  if (!(parsed instanceof RequestError)) throw new Error("accepted");
  expect(parsed.httpStatus).toBe(400);
  return parsed.message;
}

const carrying = (json: string): Buffer =>
  frame(
    message([
      [1, "endpoint"],
      [2, [[2, json]]],
    ]),
  );

const text = (parsed: ParsedRequest): string =>
  parsed
    .promptSegments()
    .flat()
    .map((part) => (part.kind === "text" ? Buffer.from(part.bytes).toString() : "media"))
    .join("|");

test("claims the three methods of both versions on HTTP/2 without TLS", () => {
  const methods = ["ChatCompletions", "StreamRawPredict", "RawPredict"];
  const versions = ["google.cloud.aiplatform.v1.", "google.cloud.aiplatform.v1beta1.", ""];
  const expected = versions.flatMap((version) => methods.map((method) => `${version}PredictionService/${method}`));
  expect([...parser.claims].toSorted()).toEqual(expected.toSorted());
  expect(parser.appProtocols).toEqual(["kubernetes.io/h2c"]);
});

describe("frames of another encoder", () => {
  test("of chat completions give what their JSON says", () => {
    const parsed = accepted(chat, goldenFrame("chat"));
    expect(parsed).toMatchObject({ model: "m-1", stream: true, maxOutputTokens: 9 });
    expect(text(parsed)).toBe("user|Hello");
  });

  test("of raw predictions are read as responses", () => {
    const streamed = accepted(streamRaw, goldenFrame("stream raw"));
    expect(streamed).toMatchObject({ model: "m-2", stream: true, maxOutputTokens: 5 });
    expect(text(streamed)).toContain('"Hi"');
    expect(accepted(raw, goldenFrame("raw"))).toMatchObject({ model: undefined, stream: false });
    expect(refusal(raw, goldenFrame("chat"))).toBe(
      "parsing RawPredictRequest: invalid responses request: must have input field",
    );
  });

  test("without a body are refused", () => {
    for (const [path, type] of requestTypes)
      expect(refusal(path, goldenFrame("no body"))).toBe(`${type} has no HttpBody`);
  });
});

test("what the JSON says is what the OpenAI parser says of it, but the model cannot be rewritten", () => {
  const json = '{"model":"m","cache_salt":"s","max_completion_tokens":3,"messages":[{"role":"user","content":"x"}]}';
  const direct = parseOpenAiRequest("/chat/completions", Buffer.from(json));
  if (direct instanceof RequestError) throw new Error(direct.message);
  const parsed = accepted(chat, carrying(json));
  const { model, stream, maxOutputTokens, cacheSalt } = direct;
  expect(parsed).toMatchObject({ model, stream, maxOutputTokens, cacheSalt });
  expect(model).toBe("m");
  expect(cacheSalt).toBe("s");
  expect(text(parsed)).toBe(text(direct));
  expect(parsed.promptTokenIds()).toEqual(direct.promptTokenIds());
  expect(direct.rewriteModel).toBeDefined();
  expect(parsed.rewriteModel).toBeUndefined();
});

describe("what is no request", () => {
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["JSON", Buffer.from('{"messages":[]}')],
    ["a compressed message", frame(message([[2, [[2, "{}"]]]]), 1)],
    ["a cut message", goldenFrame("chat").subarray(0, -1)],
    ["a length of 4 GiB", Buffer.from([0, 255, 255, 255, 255])],
  ])("is refused with its reason: %s", (_, body) => {
    for (const [path] of requestTypes) expect(refusal(path, body)).toMatch(/^invalid or unsupported gRPC payload: ./);
  });

  test.each([
    ["bytes", Buffer.from([0xff])],
    ["an HttpBody", message([[2, Buffer.from([0x12, 9])]])],
    ["the field behind the HttpBody", Buffer.concat([message([[2, [[2, "{}"]]]]), Buffer.from([0x1a, 4])])],
    ["an HttpBody in many parts", message(new Array<Field>(9).fill([2, []]))],
  ])("names the message when this is malformed: %s", (_, content) => {
    for (const [path, type] of requestTypes) {
      expect(refusal(path, frame(content))).toMatch(new RegExp(`^unmarshaling ${type}: .`));
    }
  });

  test("passes on what is wrong with the JSON", () => {
    expect(refusal(chat, carrying("no healthy upstream"))).toMatch(
      /^parsing ChatCompletionsRequest: error unmarshaling request bodyMap: invalid character 'o'/,
    );
    expect(refusal(chat, frame(message([[2, []]])))).toMatch(/^parsing ChatCompletionsRequest: error unmarshaling/);
    expect(refusal(chat, carrying('{"model":"m"}'))).toBe(
      "parsing ChatCompletionsRequest: invalid chat completions request: must have valid messages field",
    );
  });

  test("is refused whatever the bytes, never thrown at", () => {
    const paths = fc.constantFrom(...requestTypes.map(([path]) => path));
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => frame(bytes)),
      fc.uint8Array({ maxLength: 80 }).map((bytes) => frame(message([[2, [[2, bytes]]]]))),
      fc.uint8Array({ maxLength: 80 }),
    );
    fc.assert(
      fc.property(paths, content, (path, body) => {
        expect(refusal(path, body)).not.toBe("");
      }),
      { numRuns: 1000 },
    );
  });
});

test("unknown fields around the data change nothing, and the last data counts", () => {
  const unknown = fc
    .tuple(fc.integer({ min: 3, max: 3000 }), fc.oneof(fc.nat(), fc.string({ maxLength: 20 })))
    .map(([number, value]): Field => [number, value]);
  const others = fc.array(unknown, { maxLength: 3 });
  fc.assert(
    fc.property(others, others, others, (before, inside, after) => {
      const inner = message([
        [1, "application/json"],
        ...inside,
        [2, "old"],
        [2, '{"input":"x","model":"m"}'],
        ...inside,
      ]);
      const body = frame(message([...before, [1, "endpoint"], [2, inner], ...after]));
      expect(accepted(raw, body).model).toBe("m");
    }),
  );
});

test("an HttpBody in two parts is put together", () => {
  const body = frame(
    message([
      [2, [[2, '{"input":"x","model":"m"}']]],
      [2, [[1, "application/json"]]],
    ]),
  );
  expect(accepted(raw, body).model).toBe("m");
});

test("another method is routed as it is, and its answer is not read", () => {
  for (const path of [`${service}/Predict`, "/other/RawPredict", "/tensorflow.serving.PredictionService/RawPredict"]) {
    expect(accepted(path, Buffer.from("anything"))).toMatchObject({
      model: undefined,
      stream: false,
      skipResponse: true,
    });
  }
});
