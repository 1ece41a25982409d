import { readFileSync } from "node:fs";
import { Headers, hasRole, type ParsedRequest, type Parser, RequestError } from "@pointsman/core";
import { buildPlugin, parserContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Field, frame, message, packed } from "../test/encode.ts";
import vllmgrpcParser from "./index.ts";

pluginContract(vllmgrpcParser, { testFile: import.meta.url });

const generate = "/vllm.grpc.engine.VllmEngine/Generate";
const embed = "/vllm.grpc.engine.VllmEngine/Embed";

const golden: { readonly frames: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("./golden/vllm-frames.json", import.meta.url), "utf8"),
);
const goldenFrame = (name: string): Buffer => Buffer.from(golden.frames[name]!, "hex");

parserContract(vllmgrpcParser, {
  requests: [
    { path: generate, body: goldenFrame("generate text") },
    { path: generate, body: goldenFrame("generate tokens") },
    { path: generate, body: goldenFrame("generate media") },
    { path: embed, body: goldenFrame("embed") },
  ],
  answers: [
    { streaming: false, body: goldenFrame("complete") },
    { streaming: true, body: Buffer.concat([goldenFrame("chunk"), goldenFrame("chunk"), goldenFrame("complete")]) },
    { streaming: false, body: goldenFrame("embedding") },
  ],
});

const { instance } = buildPlugin(vllmgrpcParser);
if (!hasRole(instance, "parser")) throw new Error("vllmgrpc-parser is no parser");
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

const send = (...fields: readonly Field[]): Buffer => frame(message(fields));

const prompts = (parsed: ParsedRequest): string[][] =>
  parsed
    .promptSegments()
    .map((segments) => segments.map((part) => (part.kind === "text" ? Buffer.from(part.bytes).toString() : "media")));

const tokens = (parsed: ParsedRequest): number[][] | undefined => parsed.promptTokenIds()?.map((ids) => [...ids]);

test("claims the two methods on HTTP/2 without TLS", () => {
  expect(parser.claims).toEqual(["vllm.grpc.engine.VllmEngine/Generate", "vllm.grpc.engine.VllmEngine/Embed"]);
  expect(parser.appProtocols).toEqual(["kubernetes.io/h2c"]);
});

describe("frames of another encoder", () => {
  test("with text give the text, the stream flag and a limit of 0", () => {
    const parsed = accepted(generate, goldenFrame("generate text"));
    expect(prompts(parsed)).toEqual([["héllo wörld"]]);
    expect(tokens(parsed)).toBeUndefined();
    expect(parsed).toMatchObject({ model: undefined, stream: true, maxOutputTokens: 0, cacheSalt: undefined });
    expect(parsed.rewriteModel).toBeUndefined();
    expect(parsed.skipResponse).toBeUndefined();
  });

  test("with tokens give the tokens and the limit", () => {
    const parsed = accepted(generate, goldenFrame("generate tokens"));
    expect(tokens(parsed)).toEqual([[0, 1, 127, 128, 300, 151643, 4294967295]]);
    expect(prompts(parsed)).toEqual([]);
    expect(parsed).toMatchObject({ stream: false, maxOutputTokens: 77 });
    expect(parsed.promptFeatures?.()).toEqual([[]]);
  });

  test("with media give their places in order, a missing hash as empty", () => {
    const parsed = accepted(generate, goldenFrame("generate media"));
    expect(tokens(parsed)).toEqual([new Array(20).fill(9)]);
    expect(parsed.promptFeatures?.()).toEqual([
      [
        { modality: "image", hash: "", offsetTokens: 0, lengthTokens: 3 },
        { modality: "video", hash: "vv", offsetTokens: 5, lengthTokens: 2 },
        { modality: "image", hash: "aa", offsetTokens: 12, lengthTokens: 4 },
      ],
    ]);
  });

  test("of an embedding give its tokens", () => {
    const parsed = accepted(embed, goldenFrame("embed"));
    expect(tokens(parsed)).toEqual([[5, 6, 70000]]);
    expect(parsed).toMatchObject({ model: undefined, stream: false, maxOutputTokens: undefined });
  });

  test("without a prompt are refused", () => {
    expect(refusal(generate, goldenFrame("generate nothing"))).toBe("not supported request inputType");
    expect(refusal(embed, goldenFrame("embed without tokens"))).toBe("missing tokenized input in EmbedRequest");
  });
});

describe("a body that is no gRPC message", () => {
  test.each([
    ["empty", Buffer.alloc(0)],
    ["JSON", Buffer.from('{"prompt":"x"}')],
    ["compressed", frame(message([[3, "x"]]), 1)],
    ["cut in its header", Buffer.from([0, 0, 0])],
    ["cut in its message", send([3, "hello"]).subarray(0, 9)],
    ["announced with 4 GiB", Buffer.from([0, 255, 255, 255, 255, 1])],
  ])("is refused when %s", (_, body) => {
    for (const path of [generate, embed]) expect(refusal(path, body)).toBe("invalid or unsupported gRPC payload");
  });
});

describe("a malformed message", () => {
  test.each<[string, string, Uint8Array]>([
    ["GenerateRequest", generate, Buffer.from([0xff])],
    [
      "GenerateRequest",
      generate,
      message([
        [3, "x"],
        [4, Buffer.from([0x40])],
      ]),
    ],
    ["GenerateRequest", generate, message([[2, Buffer.from([0x12, 2, 1])]])],
    ["GenerateRequest", generate, message([[2, [[2, Buffer.from([0x80])]]]])],
    [
      "GenerateRequest",
      generate,
      message([
        [2, []],
        [7, [[5, Buffer.from([8])]]],
      ]),
    ],
    ["EmbedRequest", embed, message([[2, [[2, Buffer.from([0x80])]]]])],
    ["EmbedRequest", embed, Buffer.from([0x12, 5])],
  ])("names the %s", (name, path, content) => {
    expect(refusal(path, frame(content))).toMatch(new RegExp(`^unmarshaling ${name}: .`));
  });

  test("of any bytes is refused or accepted, never thrown, and what is accepted can be read", () => {
    fc.assert(
      fc.property(fc.constantFrom(generate, embed), fc.uint8Array({ maxLength: 80 }), (path, content) => {
        const parsed = parser.parseRequest(path, new Headers(), frame(content));
        if (parsed instanceof RequestError) return;
        parsed.promptSegments();
        parsed.promptTokenIds();
        parsed.promptFeatures?.();
      }),
      { numRuns: 2000 },
    );
  });

  test("that a valid one was cut to is refused or read, never thrown", () => {
    const content = goldenFrame("generate media").subarray(5);
    for (let length = 0; length < content.length; length++) {
      const parsed = parser.parseRequest(generate, new Headers(), frame(content.subarray(0, length)));
      if (!(parsed instanceof RequestError)) parsed.promptFeatures?.();
    }
  });
});

test("another method is routed as it is, whatever its body, and its answer is not read", () => {
  for (const path of ["/vllm.grpc.engine.VllmEngine/Abort", "/other.Engine/Generate", "/Generate"]) {
    const parsed = accepted(path, Buffer.from("anything"));
    expect(parsed).toMatchObject({ model: undefined, stream: false, skipResponse: true });
    expect(prompts(parsed)).toEqual([]);
    expect(tokens(parsed)).toBeUndefined();
  }
});

test("a prefix before the service and one trailing slash make no difference", () => {
  const body = send([3, "x"]);
  expect(prompts(accepted(`/prefix${generate}/`, body))).toEqual([["x"]]);
});

test("of text and tokens the later one counts, and tokens in parts belong together", () => {
  const part = (...ids: number[]): Field => [2, [[2, packed(ids)]]];
  expect(tokens(accepted(generate, send(part(1, 2), part(3))))).toEqual([[1, 2, 3]]);
  expect(tokens(accepted(generate, send(part(1), [3, "text"], part(2))))).toEqual([[2]]);
  expect(prompts(accepted(generate, send([3, "text"], part(2))))).toEqual([]);
  expect(prompts(accepted(generate, send(part(1), [3, "text"])))).toEqual([["text"]]);
  expect(prompts(accepted(generate, send([3, ""])))).toEqual([[]]);
  expect(tokens(accepted(generate, send([2, []])))).toEqual([[]]);
});

test("the last of repeated limits counts, and one that is not sent is unknown", () => {
  const limit = (value: number): Field => [4, [[8, value]]];
  expect(accepted(generate, send([3, "x"], limit(5), [4, [[9, 1]]], limit(6), [4, []])).maxOutputTokens).toBe(6);
  expect(accepted(generate, send([3, "x"], [4, [[9, 1]]])).maxOutputTokens).toBeUndefined();
});

test("what comes behind the first message is left to the engine", () => {
  const body = Buffer.concat([send([3, "first"]), send([3, "second"]), Buffer.from("rest")]);
  expect(prompts(accepted(generate, body))).toEqual([["first"]]);
});

test("unknown fields anywhere change nothing", () => {
  const known = [3, 2, 4, 5, 7, 11];
  const unknown = fc
    .tuple(
      fc.integer({ min: 1, max: 3000 }).filter((number) => !known.includes(number)),
      fc.oneof(fc.nat(), fc.string({ maxLength: 20 })),
    )
    .map(([number, value]): Field => [number, value]);
  const others = fc.array(unknown, { maxLength: 3 });
  const ids = fc.array(fc.nat(200_000), { maxLength: 50 });
  fc.assert(
    fc.property(others, others, ids, fc.nat(100_000), fc.boolean(), (before, after, tokenIds, limit, stream) => {
      const body = send(
        ...before,
        [
          2,
          [
            [1, "original"],
            [2, packed(tokenIds)],
            [9, 1],
          ],
        ],
        [
          4,
          [
            [1, 1],
            [8, limit],
            [300, "x"],
          ],
        ],
        ...after,
        [5, stream ? 1 : 0],
      );
      const parsed = accepted(generate, body);
      expect(tokens(parsed)).toEqual([tokenIds]);
      expect(parsed).toMatchObject({ stream, maxOutputTokens: limit });
    }),
  );
});

test("tokens are read plain as well as packed", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2 ** 31 - 1), { maxLength: 30 }), (ids) => {
      const plain = message([[2, message(ids.map((id): Field => [2, id]))]]);
      expect(tokens(accepted(generate, frame(plain)))).toEqual([ids]);
    }),
  );
});

describe("hostile requests", () => {
  test("of many inner messages are refused", () => {
    const many = (number: number): Field[] => new Array<Field>(9).fill([number, []]);
    for (const number of [2, 4, 7, 11]) {
      const message = refusal(generate, send([3, "x"], ...many(number)));
      expect(message).toBe("GenerateRequest has more than 8 inner messages");
    }
    expect(refusal(embed, send(...many(2)))).toBe("EmbedRequest has more than 8 inner messages");
  });

  test("of many media are refused", () => {
    const media = (count: number): Field => [7, Buffer.concat(new Array<Buffer>(count).fill(Buffer.from([0x2a, 0])))];
    expect(accepted(generate, send([2, []], media(16_384))).promptFeatures?.()[0]?.length).toBe(16_384);
    expect(refusal(generate, send([2, []], media(16_385)))).toBe(
      "GenerateRequest has more than 16384 multimodal items",
    );
  });

  test("of many fields are refused", () => {
    const fields = Buffer.alloc(2 * 70_000, Buffer.from([0x78, 1]));
    expect(refusal(generate, frame(fields))).toMatch(/^unmarshaling GenerateRequest: there are more than 65536 fields/);
  });
});
