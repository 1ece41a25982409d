import { buildPlugin } from "@pointsman/testkit";
import { describe, expect, test } from "vitest";
import { type DisaggProfileHandlerParams, disaggProfileHandlerParams, stageOrderOf } from "./params.ts";

const yes = { disaggregate: () => true };

function read(value: unknown): DisaggProfileHandlerParams {
  return disaggProfileHandlerParams.parse(value);
}

function problems(value: unknown): readonly string[] {
  const outcome = disaggProfileHandlerParams.safeParse(value);
  return outcome.success ? [] : outcome.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

test("without parameters the stages are named after themselves, decode goes first, and nobody decides", () => {
  expect(read({})).toEqual({
    stageOrder: "decode-first",
    decodeProfile: "decode",
    prefillProfile: "prefill",
    encodeProfile: "encode",
    prefillDecider: undefined,
    encodeDecider: undefined,
  });
});

test("both forms say the same", () => {
  const nested = read({
    profiles: { decode: "d", prefill: "p", encode: "e" },
    deciders: { prefill: "a", encode: "b" },
  });
  const flat = read({
    decodeProfile: "d",
    prefillProfile: "p",
    encodeProfile: "e",
    prefillDeciderPluginName: "a",
    encodeDeciderPluginName: "b",
  });
  expect(nested).toEqual({
    stageOrder: "decode-first",
    decodeProfile: "d",
    prefillProfile: "p",
    encodeProfile: "e",
    prefillDecider: { name: "a", path: ["deciders", "prefill"] },
    encodeDecider: { name: "b", path: ["deciders", "encode"] },
  });
  expect(flat).toEqual({
    ...nested,
    prefillDecider: { name: "a", path: ["prefillDeciderPluginName"] },
    encodeDecider: { name: "b", path: ["encodeDeciderPluginName"] },
  });
});

test("deciderPluginName is the prefill decider unless the newer name is given, too", () => {
  expect(read({ deciderPluginName: "old" }).prefillDecider).toEqual({ name: "old", path: ["deciderPluginName"] });
  expect(read({ deciderPluginName: "old", prefillDeciderPluginName: "new" }).prefillDecider?.name).toBe("new");
});

test("empty names count as not given", () => {
  expect(read({ profiles: { decode: "" }, deciders: { prefill: "", encode: "" }, stageOrder: "" })).toEqual(read({}));
  expect(read({ decodeProfile: "", prefillDeciderPluginName: "", deciderPluginName: "" })).toEqual(read({}));
});

test.each([
  ["decode-first", "decode-first"],
  ["DECODE_FIRST", "decode-first"],
  ["decode", "decode-first"],
  ["", "decode-first"],
  ["Prefill-First", "prefill-first"],
  ["prefillfirst", "prefill-first"],
  ["prefill", "prefill-first"],
  ["encode-first", undefined],
  ["decode first", undefined],
])("stage order %j is %j", (text, order) => {
  expect(stageOrderOf(text)).toBe(order);
});

describe("refused", () => {
  test("mixing the forms", () => {
    expect(problems({ deciders: { prefill: "a" }, prefillProfile: "p" })).toEqual([
      "prefillProfile: cannot be used together with deciders: put everything into profiles and deciders",
    ]);
    expect(problems({ profiles: {}, deciderPluginName: "" })).toHaveLength(1);
  });

  test("another stage order", () => {
    expect(problems({ stageOrder: "encode-first" })).toEqual([
      'stageOrder: invalid stage order "encode-first", must be "decode-first" or "prefill-first"',
    ]);
  });

  test.each([
    [{ deciders: { prefill: "a" } }, "deciders.prefill"],
    [{ prefillDeciderPluginName: "a" }, "prefillDeciderPluginName"],
    [{ deciderPluginName: "a" }, "deciderPluginName"],
  ])("prefill-first with a prefill decider %j", (values, path) => {
    expect(problems({ stageOrder: "prefill-first", ...values })).toEqual([
      `${path}: a prefill decider needs the decode endpoint: it is not supported with prefill-first`,
    ]);
    expect(problems({ stageOrder: "prefill-first", deciders: { encode: "a" } })).toEqual([]);
  });

  test("one profile for two stages", () => {
    expect(problems({ profiles: { prefill: "decode" } })).toEqual([
      ": the stages need three different profiles, not decode, decode, encode",
    ]);
  });

  test.each([{ decider: "a" }, { profiles: { fallback: "x" } }, { deciders: { decode: "a" } }, { stageOrder: 1 }])(
    "%j",
    (values) => {
      expect(problems(values)).toHaveLength(1);
    },
  );
});

test("a decider that is not there, or is no decider, stops the start and is named", async () => {
  const { default: handler } = await import("./index.ts");
  const params = { deciders: { prefill: "pd" } };
  expect(() => buildPlugin(handler, { params })).toThrow('deciders.prefill: there is no plugin "pd"');
  const plugins = { pd: { score: () => {} } };
  expect(() => buildPlugin(handler, { params, plugins })).toThrow('deciders.prefill: plugin "pd" is no decider');
  expect(() => buildPlugin(handler, { params, plugins: { pd: yes } })).not.toThrow();
});
