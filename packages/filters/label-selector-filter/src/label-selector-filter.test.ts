import { buildEndpoint, buildPlugin, buildRequest, filterContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import labelSelectorFilter from "./index.ts";

const expressions = [
  { key: "tier", operator: "In", values: ["gold", "silver"] },
  { key: "zone", operator: "NotIn", values: ["b"] },
  { key: "gpu", operator: "Exists" },
  { key: "drained", operator: "DoesNotExist" },
];
const params = { matchLabels: { app: "vllm" }, matchExpressions: expressions };
const matching = { app: "vllm", tier: "gold", zone: "a", gpu: "" };

const keys = fc.constantFrom("app", "tier", "zone", "gpu", "drained", "other");
const values = fc.constantFrom("vllm", "gold", "silver", "a", "b", "");
const someLabels = fc.dictionary(keys, values, { noNullPrototype: true });
const labels = fc.oneof(
  someLabels,
  someLabels.map((changed) => ({ ...matching, ...changed })),
);

pluginContract(labelSelectorFilter, { testFile: import.meta.url, params });
filterContract(labelSelectorFilter, { params, labels });

test.each([
  { name: "keeps an endpoint that meets all requirements", labels: matching, kept: true },
  { name: "matchLabels: drops another value", labels: { ...matching, app: "sglang" }, kept: false },
  { name: "matchLabels: drops another case", labels: { ...matching, app: "VLLM" }, kept: false },
  { name: "matchLabels: drops an absent label", labels: { tier: "gold", gpu: "" }, kept: false },
  { name: "In: keeps any of the values", labels: { ...matching, tier: "silver" }, kept: true },
  { name: "In: drops an absent label", labels: { app: "vllm", gpu: "" }, kept: false },
  { name: "NotIn: drops a listed value", labels: { ...matching, zone: "b" }, kept: false },
  { name: "NotIn: keeps an absent label", labels: { app: "vllm", tier: "gold", gpu: "" }, kept: true },
  { name: "Exists: drops an absent label", labels: { app: "vllm", tier: "gold" }, kept: false },
  { name: "DoesNotExist: drops a present label, even an empty one", labels: { ...matching, drained: "" }, kept: false },
])("$name", ({ labels, kept }) => {
  expect(keeps(params, labels)).toBe(kept);
});

test("an empty value is a value", () => {
  expect(keeps({ matchLabels: { gpu: "" } }, { gpu: "" })).toBe(true);
  expect(keeps({ matchLabels: { gpu: "" } }, {})).toBe(false);
});

test.each([undefined, {}, { matchLabels: {} }, { matchExpressions: [] }])("%j keeps everything", (empty) => {
  expect(keeps(empty, {})).toBe(true);
  expect(keeps(empty, { app: "vllm" })).toBe(true);
});

test("a label called like a member of every object is a label like others", () => {
  expect(keeps({ matchExpressions: [{ key: "constructor", operator: "Exists" }] }, {})).toBe(false);
  expect(keeps({ matchLabels: { toString: "x" } }, { toString: "x" })).toBe(true);
});

describe("parameters", () => {
  test.each(["a", "A9", "a.b_c-d", "llm-d.ai/role", "a.b-c.d/x", "x".repeat(63), `${"a.".repeat(126)}a/x`])(
    "%j is a label key",
    (key) => {
      expect(keeps({ matchLabels: { [key]: "v" } }, { [key]: "v" })).toBe(true);
    },
  );

  test.each([
    "",
    "/x",
    "x/",
    "-a",
    "a-",
    "a b",
    "a/b/c",
    "Upper.Case/x",
    "a..b/x",
    "é",
    "x".repeat(64),
    `${"a.".repeat(127)}a/x`,
  ])("%j is refused as a label key, in matchLabels and in matchExpressions", (key) => {
    expect(() => buildPlugin(labelSelectorFilter, { params: { matchLabels: { [key]: "v" } } })).toThrow(
      `matchLabels.${key}: `,
    );
    const matchExpressions = [{ key, operator: "Exists" }];
    expect(() => buildPlugin(labelSelectorFilter, { params: { matchExpressions } })).toThrow(
      "matchExpressions.0.key: ",
    );
  });

  test.each(["-a", "a-", "a b", "a/b", "x".repeat(64)])("%j is refused as a label value", (value) => {
    expect(() => buildPlugin(labelSelectorFilter, { params: { matchLabels: { app: value } } })).toThrow(
      /^matchLabels\.app: .*is no label value/,
    );
    const matchExpressions = [{ key: "app", operator: "In", values: ["ok", value] }];
    expect(() => buildPlugin(labelSelectorFilter, { params: { matchExpressions } })).toThrow(
      /^matchExpressions\.0\.values\.1: .*is no label value/,
    );
  });

  test.each([
    [{ matchLabels: { version: 1 } }, "matchLabels.version: must be text: put it in quotes"],
    [{ matchExpressions: [{ key: "a", operator: "In" }] }, "operator In needs at least one value"],
    [{ matchExpressions: [{ key: "a", operator: "NotIn", values: [] }] }, "operator NotIn needs at least one value"],
    [{ matchExpressions: [{ key: "a", operator: "Exists", values: ["b"] }] }, "operator Exists takes no values"],
    [
      { matchExpressions: [{ key: "a", operator: "DoesNotExist", values: ["b"] }] },
      "operator DoesNotExist takes no values",
    ],
    [{ matchExpressions: [{ key: "a", operator: "in", values: ["b"] }] }, "matchExpressions.0.operator: "],
    [{ matchExpressions: [{ operator: "Exists" }] }, "matchExpressions.0.key: "],
    [{ matchLabel: {} }, "matchLabel"],
  ])("%j is refused", (wrong, message) => {
    expect(() => buildPlugin(labelSelectorFilter, { params: wrong })).toThrow(message);
  });

  test("problems of several places are reported at once", () => {
    const wrong = { matchLabels: { "-": "v", app: "-" }, matchExpressions: [{ key: "a", operator: "In" }] };
    expect(() => buildPlugin(labelSelectorFilter, { params: wrong })).toThrow(
      /matchLabels\.-: "-" is no label key.*matchLabels\.app: .*matchExpressions\.0\.values: /s,
    );
  });
});

function keeps(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  const { instance } = buildPlugin(labelSelectorFilter, { params: selector });
  return instance.filter!(buildRequest(), [buildEndpoint(0, { labels })]).length === 1;
}
