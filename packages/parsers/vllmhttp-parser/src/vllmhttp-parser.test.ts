import { Headers, hasRole, type ParsedRequest, type Parser, RequestError } from "@pointsman/core";
import { buildPlugin, parserContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goNumber } from "./go-number.ts";
import vllmHttpParser from "./index.ts";

pluginContract(vllmHttpParser, { testFile: import.meta.url });

const restoreModel = { from: "org/base-8b", to: "alias" };

parserContract(vllmHttpParser, {
  requests: [
    {
      path: "/inference/v1/generate",
      body: JSON.stringify({
        model: "m",
        token_ids: [1, 2, 3, 4294967295, 5, 6],
        stream: true,
        cache_salt: "tenant",
        sampling_params: { max_tokens: 12, temperature: 0 },
        features: {
          mm_hashes: { image: ["h1", "h2"] },
          mm_placeholders: {
            image: [
              { offset: 3, length: 2 },
              { offset: 1, length: 1 },
            ],
          },
        },
      }),
    },
    { path: "/inference/v1/generate", body: '{"token_ids":[7]}' },
  ],
  answers: [
    {
      streaming: false,
      body: '{"request_id":"r","model":"org/base-8b","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":10}}',
      restoreModel,
    },
    {
      streaming: true,
      body: 'data: {"model":"org/base-8b","choices":[]}\n\ndata: {"usage":{"prompt_tokens":7}}\n\ndata: [DONE]\n\n',
      restoreModel,
    },
  ],
});

const { instance } = buildPlugin(vllmHttpParser);
if (!hasRole(instance, "parser")) throw new Error("vllmhttp-parser is no parser");
const parser: Parser = instance;
const path = "/inference/v1/generate";

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

const mismatch = (what: string, field: string, type: string): string =>
  `invalid generate request: json: cannot unmarshal ${what} into Go struct field ${field} of type ${type}`;
const featuresType =
  'struct { MMHashes map[string][]string "json:\\"mm_hashes\\""; ' +
  'MMPlaceholders map[string][]requesthandling.wirePlaceholder "json:\\"mm_placeholders\\"" }';
const hashes = ".features.mm_hashes";
const places = ".features.mm_placeholders";

test("claims one path on both HTTP protocols, and serves no other", () => {
  expect(parser.claims).toEqual(["inference/v1/generate"]);
  expect([...parser.appProtocols].toSorted()).toEqual(["http", "kubernetes.io/h2c"]);
  expect(accepted({ token_ids: [1] }, "/a/inference/v1/generate/").promptTokenIds()).toHaveLength(1);
  expect(refusal({ token_ids: [1] }, "/v1/generate")).toBe("unsupported path: /v1/generate");
});

describe("bodies that are refused, with Go's texts", () => {
  test.each<[string, string]>([
    ["", "unexpected end of JSON input"],
    ["nope", "invalid character 'o' in literal null (expecting 'u')"],
    ["[]", "json: cannot unmarshal array into Go value of type map[string]interface {}"],
    ["null", "invalid generate request: must have non-empty token_ids field"],
    ["{}", "invalid generate request: must have non-empty token_ids field"],
    ['{"token_ids":null}', "invalid generate request: must have non-empty token_ids field"],
    ['{"token_ids":[]}', "invalid generate request: must have non-empty token_ids field"],
    ['{"token_ids":"x"}', mismatch("string", ".token_ids", "[]float64")],
    ['{"token_ids":{}}', mismatch("object", ".token_ids", "[]float64")],
    ['{"token_ids":[1,"x"]}', mismatch("string", ".token_ids", "float64")],
    ['{"token_ids":[true,{}]}', mismatch("bool", ".token_ids", "float64")],
    ['{"token_ids":[[1]]}', mismatch("array", ".token_ids", "float64")],
    ['{"token_ids":[1,-1]}', "invalid generate request: token_ids[1]: invalid value -1"],
    ['{"token_ids":[1.5]}', "invalid generate request: token_ids[0]: invalid value 1.5"],
    ['{"token_ids":[4294967296]}', "invalid generate request: token_ids[0]: invalid value 4.294967296e+09"],
    ['{"token_ids":[1,null]}', "invalid generate request: token_ids[1]: invalid value null"],
    ['{"token_ids":[1e400]}', "invalid generate request: token_ids[0]: invalid value +Inf"],
    ['{"token_ids":[-1],"cache_salt":2}', mismatch("number", ".cache_salt", "string")],
    ['{"cache_salt":2,"token_ids":["a"]}', mismatch("number", ".cache_salt", "string")],
    ['{"token_ids":["a"],"cache_salt":2}', mismatch("string", ".token_ids", "float64")],
    ['{"token_ids":[1],"features":1}', mismatch("number", ".features", featuresType)],
    ['{"token_ids":[1],"features":{"mm_hashes":[]}}', mismatch("array", hashes, "map[string][]string")],
    ['{"token_ids":[1],"features":{"mm_hashes":{"image":"x"}}}', mismatch("string", hashes, "[]string")],
    ['{"token_ids":[1],"features":{"mm_hashes":{"image":[1]}}}', mismatch("number", hashes, "string")],
    [
      '{"token_ids":[1],"features":{"mm_placeholders":[]}}',
      mismatch("array", places, "map[string][]requesthandling.wirePlaceholder"),
    ],
    [
      '{"token_ids":[1],"features":{"mm_placeholders":{"image":1}}}',
      mismatch("number", places, "[]requesthandling.wirePlaceholder"),
    ],
    [
      '{"token_ids":[1],"features":{"mm_placeholders":{"image":[1]}}}',
      mismatch("number", places, "requesthandling.wirePlaceholder"),
    ],
    [
      '{"token_ids":[1],"features":{"mm_placeholders":{"image":[{"offset":1.5}]}}}',
      mismatch("number 1.5", `wirePlaceholder${places}.offset`, "int"),
    ],
    [
      '{"token_ids":[1],"features":{"mm_placeholders":{"image":[{"length":"1"}]}}}',
      mismatch("string", `wirePlaceholder${places}.length`, "int"),
    ],
  ])("%s", (body, text) => {
    expect(refusal(body)).toBe(text);
  });
});

test.each([
  [1.5, "1.5"],
  [-123456.789, "-123456.789"],
  [1234567.5, "1.2345675e+06"],
  [1e-7, "1e-07"],
  [0.0001, "0.0001"],
  [0.00001, "1e-05"],
  [1.2345678901234568e29, "1.2345678901234568e+29"],
  [-0, "-0"],
  [Number.NEGATIVE_INFINITY, "-Inf"],
])("goNumber writes %s as Go does", (number, text) => {
  expect(goNumber(number)).toBe(text);
});

describe("fields", () => {
  test("tokens, model, stream, limit and salt are read", () => {
    const parsed = accepted(
      '{"token_ids":[0, 7.0 ,4294967295],"model":"m","stream":true,"cache_salt":"s","sampling_params":{"max_tokens":3}}',
    );
    expect(parsed.promptTokenIds()?.map((ids) => [...ids])).toEqual([[0, 7, 4294967295]]);
    expect(parsed).toMatchObject({ model: "m", stream: true, cacheSalt: "s", maxOutputTokens: 3 });
    expect(parsed.promptSegments()).toEqual([]);
  });

  test.each([
    ['"sampling_params":{"max_tokens":0}', 0],
    ['"sampling_params":{"max_tokens":-1}', undefined],
    ['"sampling_params":[{"max_tokens":1}]', undefined],
    ['"sampling_params":null', undefined],
    ['"max_tokens":5', undefined],
  ])("%s is capped at %s", (cap, expected) => {
    expect(accepted(`{"token_ids":[1],${cap}}`).maxOutputTokens).toBe(expected);
  });

  test("of repeated members the last one counts", () => {
    const parsed = accepted('{"token_ids":["x"],"token_ids":[2],"model":"a","model":"\\ud800"}');
    expect([...parsed.promptTokenIds()![0]!]).toEqual([2]);
    expect(parsed.model).toBe("\ufffd");
  });

  test("another model's name changes nothing else in a body", () => {
    const rewritten = accepted(' {"token_ids":[1.0e0] , "x":1e400}').rewriteModel?.("b") ?? [];
    expect(Buffer.concat(rewritten).toString()).toBe(' {"model":"b","token_ids":[1.0e0] , "x":1e400}');
  });
});

describe("media", () => {
  const features = (mm_hashes: unknown, mm_placeholders: unknown, tokens = 8) =>
    accepted({
      token_ids: Array.from({ length: tokens }, (_, i) => i),
      features: { mm_hashes, mm_placeholders },
    }).promptFeatures?.();

  test("hashes and placeholders go together by modality and place, ordered by place in the prompt", () => {
    expect(
      features(
        { image: ["a", "b"], audio: ["c"] },
        {
          image: [
            { offset: 5, length: 3 },
            { offset: 0, length: 2 },
          ],
          audio: [{ offset: 3, length: 1 }],
        },
      ),
    ).toEqual([
      [
        { modality: "image", hash: "b", offsetTokens: 0, lengthTokens: 2 },
        { modality: "audio", hash: "c", offsetTokens: 3, lengthTokens: 1 },
        { modality: "image", hash: "a", offsetTokens: 5, lengthTokens: 3 },
      ],
    ]);
  });

  test.each<[string, unknown, unknown]>([
    ["no placeholders", { image: ["a"] }, null],
    ["placeholders of another modality", { image: ["a"] }, { video: [{ offset: 0, length: 1 }] }],
    ["no hashes", null, { image: [{ offset: 0, length: 1 }] }],
    ["more placeholders than hashes", { image: [] }, { image: [{ offset: 0, length: 1 }] }],
    ["a placeholder without length", { image: ["a"] }, { image: [{ offset: 0 }] }],
    ["a negative place", { image: ["a"] }, { image: [{ offset: -1, length: 2 }] }],
    ["a place beyond the tokens", { image: ["a"] }, { image: [{ offset: 7, length: 2 }] }],
    ["a null placeholder", { image: ["a"] }, { image: [null] }],
  ])("%s: left out", (_name, mm_hashes, mm_placeholders) => {
    expect(features(mm_hashes, mm_placeholders)).toEqual([[]]);
  });

  test("a null hash is an empty one, a key may be any text, and a repeated key counts once", () => {
    expect(features({ __proto__x: [null] }, { __proto__x: [{ length: 1 }] })).toEqual([
      [{ modality: "__proto__x", hash: "", offsetTokens: 0, lengthTokens: 1 }],
    ]);
    const repeated = accepted(
      '{"token_ids":[1,2],"features":{"mm_hashes":{"image":["a"],"image":["b"],"__proto__":["c"]},' +
        '"mm_placeholders":{"image":[{"offset":0,"length":1}],"__proto__":[{"offset":1,"length":1}]}}}',
    );
    expect(repeated.promptFeatures?.()[0]?.map(({ modality, hash }) => [modality, hash])).toEqual([
      ["image", "b"],
      ["__proto__", "c"],
    ]);
  });
});

test("any JSON in the API's fields is refused or read, never thrown at", () => {
  const field = fc.jsonValue({ maxDepth: 4 });
  const lists = (element: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof(field, fc.dictionary(fc.constantFrom("image", "audio"), fc.oneof(field, fc.array(element))));
  const place = fc.oneof(field, fc.record({ offset: fc.integer(), length: fc.integer() }));
  const body = fc.record(
    {
      token_ids: fc.oneof(field, fc.array(fc.nat(9), { minLength: 1 })),
      features: fc.oneof(field, fc.record({ mm_hashes: lists(fc.string()), mm_placeholders: lists(place) })),
      ...{ cache_salt: field, sampling_params: field, model: field },
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(body, (value) => {
      const parsed = parse(JSON.stringify(value));
      if (parsed instanceof RequestError) return;
      const [ids] = parsed.promptTokenIds()!;
      for (const { offsetTokens, lengthTokens } of parsed.promptFeatures?.()[0] ?? []) {
        expect(offsetTokens >= 0 && lengthTokens > 0 && offsetTokens + lengthTokens <= ids!.length).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["very many tokens", `{"token_ids":[${"1,".repeat(1_000_000)}1]}`],
  ["as many media as are taken", `{"token_ids":[1],"features":{"mm_hashes":{"image":[${'"a",'.repeat(16_383)}"a"]}}}`],
  ["deep nesting elsewhere", `{"token_ids":[1],"x":${"[".repeat(9000)}${"]".repeat(9000)}}`],
])("%s: read", (_name, body) => {
  expect(accepted(body).promptFeatures?.()).toEqual([[]]);
});

test.each([
  ["hashes", `"mm_hashes":{"image":[${'"a",'.repeat(16_384)}"a"]}`],
  ["hashes of two modalities", `"mm_hashes":{"image":[${'"a",'.repeat(16_383)}"a"],"audio":["a"]}`],
  ["placeholders", `"mm_placeholders":{"image":[${"{},".repeat(16_384)}{}]}`],
  ["modalities", `"mm_hashes":{${'"a":[],'.repeat(16_384)}"a":[]}`],
])("too many media are refused: %s", (_name, features) => {
  expect(refusal(`{"token_ids":[1],"features":{${features}}}`)).toBe(
    "invalid generate request: features hold more than 16384 media",
  );
});

test("usage is that of OpenAI answers, events are counted", () => {
  const reader = parser.responseReader(undefined, { headers: new Headers(), streaming: true, restoreModel: undefined });
  reader.chunk(Buffer.from('data: {"choices":[]}\n\ndata: {"usage":{"prompt_tokens":7,"compl'), false);
  reader.chunk(Buffer.from('etion_tokens":10}}\n\ndata: [DONE]\n\n'), true);
  expect(reader.usage).toEqual({ promptTokens: 7, completionTokens: 10, totalTokens: 17, cachedTokens: undefined });
  expect(reader.events).toBe(2);
});
