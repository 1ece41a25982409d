import {
  hasRole,
  type InferenceRequest,
  type PromptSegment,
  TOKENIZED_PROMPT,
  type TokenizedPrompt,
} from "@pointsman/core";
import {
  type BuildPluginOptions,
  buildPlugin,
  buildRequest,
  pluginContract,
  type RequestOptions,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { maxMediaTokens } from "./estimate-prompts.ts";
import tokenProducer from "./index.ts";

pluginContract(tokenProducer, { testFile: import.meta.url });

type Media = PromptSegment & { readonly kind: "media" };
const utf8 = (content: string): Uint8Array => new TextEncoder().encode(content);
const text = (content: string): PromptSegment => ({ kind: "text", bytes: utf8(content) });
const media = (modality: Media["modality"], reference: string): Media => ({
  kind: "media",
  modality,
  reference: utf8(reference),
});

function run(options: RequestOptions, plugin: BuildPluginOptions = {}): InferenceRequest {
  const { instance } = buildPlugin(tokenProducer, plugin);
  if (!hasRole(instance, "dataProducer")) throw new Error("the instance has no method `produce`");
  const request = buildRequest(options);
  void instance.produce(request, []);
  return request;
}

function tokensOf(
  prompts: readonly (readonly PromptSegment[])[],
  params: unknown = {},
  headers: Readonly<Record<string, string>> = {},
): TokenizedPrompt | undefined {
  const request = run({ body: { promptSegments: () => prompts }, headers }, { params });
  return request.attributes.get(TOKENIZED_PROMPT.from());
}

/** Token counts of the media of one prompt. */
function mediaLengths(
  segments: readonly PromptSegment[],
  params: unknown = {},
  headers: Readonly<Record<string, string>> = {},
): number[] {
  return tokensOf([segments], params, headers)!.prompts[0]!.features.map((feature) => feature.lengthTokens);
}

// Source: spec vectors/block-hashes.json, estimateBackend, and spec scheduling-plugins F1.
test.each([
  { segments: ["hello"], tokens: [1819043176, 111] },
  { segments: ["abcd"], tokens: [1684234849] },
  { segments: ["user", "hi"], tokens: [1919251317, 26984] },
  { segments: ["é"], tokens: [43459] },
  { segments: ["hello world"], tokens: [1819043176, 1870078063, 6581362] },
])("$segments are the tokens $tokens", ({ segments, tokens }) => {
  const tokenized = tokensOf([segments.map(text)]);
  expect([...tokenized!.prompts[0]!.tokenIds]).toEqual(tokens);
  expect([tokenized!.totalTokens, tokenized!.estimated]).toEqual([tokens.length, true]);
});

// Source: spec vectors/block-hashes.json, estimateBackend.
test("an image by URL counts 225 tokens of its hash, and is a feature", () => {
  const { tokenIds, features } = tokensOf([[text("user"), media("image", "https://x/y.png")]])!.prompts[0]!;
  expect([...tokenIds]).toEqual([1919251317, ...new Array<number>(225).fill(325900829)]);
  expect(features).toEqual([{ modality: "image", hash: "4a2ac44f136cda1d", offsetTokens: 1, lengthTokens: 225 }]);
});

test("media start at a whole token, text after them goes on", () => {
  const params = { estimate: { image: { mode: "static", static: { staticToken: 2 } } } };
  const image = media("image", "https://x/y.png");
  const { tokenIds, features } = tokensOf([[text("hello"), image, text("ab"), text("c"), image]], params)!.prompts[0]!;
  const token = 325900829;
  expect([...tokenIds]).toEqual([1819043176, 111, token, token, 0x636261, token, token]);
  expect(features.map((feature) => feature.offsetTokens)).toEqual([2, 5]);
});

test("each prompt is padded on its own, an empty one has no tokens", () => {
  const { prompts, totalTokens } = tokensOf([[text("a")], [], [text("bcdef"), media("audio", "x")]])!;
  expect(prompts.map(({ tokenIds }) => tokenIds.length)).toEqual([1, 0, 3]);
  expect(prompts[2]!.features[0]).toMatchObject({ modality: "audio", offsetTokens: 2, lengthTokens: 1 });
  expect(totalTokens).toBe(4);
});

test("nothing is produced for a request without a prompt", () => {
  for (const prompts of [[], [[]], [[text("")]]]) expect(tokensOf(prompts)).toBeUndefined();
});

test("tokens that the client sent are passed on as they are", () => {
  const ids = [Uint32Array.of(1, 2, 3), Uint32Array.of(4)];
  const request = run({ body: { promptTokenIds: () => ids, promptSegments: () => [[text("unused")]] } });
  const tokenized = request.attributes.get(TOKENIZED_PROMPT.from());
  expect(tokenized).toEqual({
    prompts: ids.map((tokenIds) => ({ tokenIds, features: [] })),
    totalTokens: 4,
    estimated: false,
  });
  expect(tokenized!.prompts[0]!.tokenIds === ids[0]).toBe(true);
});

test("multimodal items that the parser found stand with the tokens of their prompt", () => {
  const feature = { modality: "image", hash: "h", offsetTokens: 0, lengthTokens: 2 };
  const request = run({
    body: {
      promptTokenIds: () => [Uint32Array.of(1, 2, 3), Uint32Array.of(4)],
      promptFeatures: () => [[feature], []],
    },
  });
  const prompts = request.attributes.get(TOKENIZED_PROMPT.from())!.prompts;
  expect(prompts.map(({ features }) => features)).toEqual([[feature], []]);
});

test("an image counts by its own size where it can be read", () => {
  const header = Buffer.from("89504e470d0a1a0a0000000d49484452000007800000043808060000", "hex").toString("base64");
  expect(mediaLengths([media("image", `data:image/png;base64,${header}`), media("image", header)])).toEqual([
    2025, 2025,
  ]);
});

test.each([
  { name: "another default size", image: { defaultResolution: { width: 1024, height: 2 } }, tokens: 2 },
  { name: "half of a default size", image: { defaultResolution: { width: 1024 } }, tokens: 360 },
  { name: "another factor", image: { dynamic: { factor: 230_400 } }, tokens: 1 },
  { name: "a factor above the pixels: one token", image: { dynamic: { factor: 1e9 } }, tokens: 1 },
  { name: "a fixed number", image: { mode: "static", static: { staticToken: 77 } }, tokens: 77 },
  { name: "a fixed number that is not set: one token", image: { mode: "static" }, tokens: 1 },
])("an image of unknown size counts by the parameters: $name", ({ image, tokens }) => {
  expect(mediaLengths([media("image", "https://x/y.png")], { estimate: { image } })).toEqual([tokens]);
});

const hints = {
  "x-llm-d-video-duration-seconds": "2.5",
  "x-llm-d-video-fps": "10",
  "x-llm-d-video-resolution": "1024x100",
};

test.each([
  { name: "defaults: 10 s at 2 frames per second of 640 × 360", video: {}, headers: {}, tokens: 20 * 225 },
  { name: "headers tell duration and size", video: {}, headers: hints, tokens: 5 * 100 },
  {
    name: "headers that cannot be read do not count",
    video: {},
    headers: { "x-llm-d-video-fps": "x", "x-llm-d-video-duration-seconds": "-1", "x-llm-d-video-resolution": "0x9" },
    tokens: 20 * 225,
  },
  {
    name: "sampling",
    video: { frames: { sampled: { sampleFPS: 0.5, temporalPatchSize: 2 } } },
    headers: {},
    tokens: 2 * 225,
  },
  {
    name: "strides",
    video: { frames: { mode: "strided", strided: { frameStride: 7 } } },
    headers: {},
    tokens: 34 * 225,
  },
  { name: "strides at the rate told", video: { frames: { mode: "strided" } }, headers: hints, tokens: 25 * 100 },
  {
    name: "at least some frames, before patches are joined",
    video: { frames: { minFrames: 40, sampled: { temporalPatchSize: 4 } } },
    headers: {},
    tokens: 10 * 225,
  },
  { name: "at most some frames", video: { frames: { maxFrames: 3 } }, headers: {}, tokens: 3 * 225 },
  {
    name: "a fixed number per frame",
    video: { tokensPerFrame: { mode: "static", static: { numTokensPerFrame: 9 } } },
    headers: {},
    tokens: 180,
  },
  { name: "at most some tokens", video: { maxVideoTokens: 100 }, headers: {}, tokens: 100 },
  { name: "no frame: one token", video: { defaultDuration: 0.1 }, headers: {}, tokens: 1 },
])("a video counts: $name", ({ video, headers, tokens }) => {
  expect(mediaLengths([media("video", "https://x/y.mp4")], { estimate: { video } }, headers)).toEqual([tokens]);
});

test("audio counts a token for four bytes", () => {
  expect(mediaLengths([media("audio", ""), media("audio", "abcd"), media("audio", "abcde")])).toEqual([1, 1, 2]);
});

test("what a client claims about its media is bounded for the whole request", () => {
  const huge = { "x-llm-d-video-duration-seconds": "999999999999", "x-llm-d-video-resolution": "999999999x999999999" };
  const video = media("video", "https://x/y.mp4");
  expect(mediaLengths([video, video, video], {}, huge)).toEqual([maxMediaTokens, 1, 1]);
});

test("any mix of text and media is laid out in order, in whole tokens", () => {
  const segment = fc.oneof(
    fc.string({ maxLength: 9 }).map(text),
    fc
      .tuple(fc.constantFrom("image" as const, "audio" as const), fc.string({ maxLength: 9 }))
      .map(([m, r]) => media(m, r)),
  );
  const params = { estimate: { image: { mode: "static", static: { staticToken: 3 } } } };
  fc.assert(
    fc.property(fc.array(fc.array(segment, { maxLength: 6 }), { maxLength: 4 }), (prompts) => {
      const tokenized = tokensOf(prompts, params);
      const expected = prompts.map((segments) => {
        const bytes: number[] = [];
        const align = (): void => {
          while (bytes.length % 4 !== 0) bytes.push(0);
        };
        for (const one of segments) {
          if (one.kind === "text") {
            bytes.push(...one.bytes);
          } else {
            align();
            const tokens = one.modality === "image" ? 3 : Math.max(1, Math.ceil(one.reference.length / 4));
            for (let i = 0; i < tokens * 4; i++) bytes.push(-1);
          }
        }
        align();
        return bytes;
      });
      const total = expected.flat().length / 4;
      if (total === 0) {
        expect(tokenized).toBeUndefined();
        return;
      }
      expect(tokenized!.totalTokens).toBe(total);
      tokenized!.prompts.forEach(({ tokenIds, features }, i) => {
        const bytes = [...new Uint8Array(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength)];
        for (const { offsetTokens, lengthTokens } of features) {
          expect(new Set(tokenIds.subarray(offsetTokens, offsetTokens + lengthTokens)).size).toBe(1);
          bytes.fill(-1, offsetTokens * 4, (offsetTokens + lengthTokens) * 4);
        }
        expect(bytes).toEqual(expected[i]);
      });
    }),
  );
});

test("an instance under another name produces under that name", () => {
  const request = run({ body: { promptSegments: () => [[text("a")]] } }, { name: "mine" });
  expect(request.attributes.get(TOKENIZED_PROMPT.from("mine"))).toBeDefined();
  expect(request.attributes.get(TOKENIZED_PROMPT.from())).toBeUndefined();
});

test("an instance that goes by the deprecated type's name serves the default consumers", () => {
  expect(tokenProducer.aliases).toEqual(["tokenizer"]);
  const request = run({ body: { promptSegments: () => [[text("a")]] } }, { name: "tokenizer" });
  expect(request.attributes.get(TOKENIZED_PROMPT.from())).toBeDefined();
});

test.each([
  { name: "modelName", params: { modelName: "org/model" } },
  { name: "vllm", params: { vllm: { url: "http://render:8000", timeout: "5s" } } },
  { name: "vllm", params: { vllm: {} } },
  { name: "udsTokenizerConfig", params: { udsTokenizerConfig: { socketFile: "/tmp/t.sock", useTCP: false } } },
])("$params asks for a backend this version does not have and is refused", ({ name, params }) => {
  expect(() => run({}, { params })).toThrow(
    `${name}: asks for another backend; this version has the backend \`estimate\` only, which needs no model and no service. Remove ${name}`,
  );
});

test("several parameters of other backends are all named", () => {
  const params = { modelName: "m", vllm: {}, udsTokenizerConfig: { socketFile: "s" } };
  for (const name of Object.keys(params))
    expect(() => run({}, { params })).toThrow(`${name}: asks for another backend`);
});

test.each([{}, { modelName: "" }, { udsTokenizerConfig: { socketFile: "" } }, { estimate: {} }])(
  "%o asks for the estimate",
  (params) => {
    expect(tokensOf([[text("abcd")]], params)!.totalTokens).toBe(1);
  },
);

test.each([
  { params: { estimate: { image: { mode: "guess" } } }, problem: "estimate.image.mode" },
  { params: { estimate: { video: { frames: { mode: "all" } } } }, problem: "estimate.video.frames.mode" },
  {
    params: { estimate: { video: { tokensPerFrame: { mode: "all" } } } },
    problem: "estimate.video.tokensPerFrame.mode",
  },
  { params: { estimate: { image: { dynamic: { factor: -1 } } } }, problem: "estimate.image.dynamic.factor" },
  { params: { estimate: { audio: {} } }, problem: "audio" },
])("$params is refused", ({ params, problem }) => {
  expect(() => run({}, { params })).toThrow(problem);
});
