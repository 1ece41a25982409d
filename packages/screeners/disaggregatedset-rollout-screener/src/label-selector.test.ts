import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLabelSelector, selectsLabels } from "./label-selector.ts";

function selects(text: string, labels: Readonly<Record<string, string>>): boolean {
  const selector = parseLabelSelector(text);
  if (typeof selector === "string") throw new Error(selector);
  return selectsLabels(selector, labels);
}

test.each([
  ["app=x", { app: "x" }, true],
  ["app==x", { app: "x" }, true],
  [" app = x ", { app: "x" }, true],
  ["app=x", { app: "y" }, false],
  ["app=x", {}, false],
  ["app=", { app: "" }, true],
  ["app!=x", { app: "y" }, true],
  ["app!=x", {}, true],
  ["app!=x", { app: "x" }, false],
  ["tier in (a, b)", { tier: "b" }, true],
  ["tier in (a,b)", { tier: "c" }, false],
  ["tier in (a,b)", {}, false],
  ["tier notin (a,b)", { tier: "c" }, true],
  ["tier notin (a,b)", {}, true],
  ["tier notin (a,b)", { tier: "a" }, false],
  ["gpu", { gpu: "" }, true],
  ["gpu", {}, false],
  ["!old", {}, true],
  ["!old", { old: "" }, false],
  ["cores>4", { cores: "5" }, true],
  ["cores>4", { cores: "4" }, false],
  ["cores<4", { cores: "many" }, false],
  ["cores<4", {}, false],
  ["app=x,tier in (a,b),!old", { app: "x", tier: "a" }, true],
  ["app=x,tier in (a,b),!old", { app: "x", tier: "a", old: "1" }, false],
  ["disaggregatedset.x-k8s.io/name=my-set", { "disaggregatedset.x-k8s.io/name": "my-set" }, true],
  ["constructor", {}, false],
])("%j and %j: %j", (text, labels, selected) => {
  expect(selects(text, labels)).toBe(selected);
});

describe("refused", () => {
  test.each([
    ["", "has an empty requirement"],
    ["app=x,", "has an empty requirement"],
    ["a b", 'has a requirement that cannot be read: "a b"'],
    ["app=x=y", 'has a requirement that cannot be read: "app=x=y"'],
    ["tier in a,b", 'has a requirement that cannot be read: "tier in a"'],
    ["tier in (a", 'has a requirement that cannot be read: "tier in (a"'],
    ["-a=b", 'has "-a" where a label key belongs'],
    ["Upper/a=b", 'has "Upper/a" where a label key belongs'],
    ["a/b/c", 'has "a/b/c" where a label key belongs'],
    ["app=-x", 'has "-x" where a label value belongs'],
    ["tier in (a, b c)", 'has "b c" where a label value belongs'],
    ["cores>many", 'compares with "many", which is no integer'],
    ["x".repeat(5000), "is longer than 4096 characters"],
  ])("%j", (text, problem) => {
    expect(parseLabelSelector(text)).toBe(problem);
  });
});

test("property: any text is read or refused with a reason, and never throws", () => {
  const piece = fc.constantFrom("a", "b/", "=", "!=", "!", "in", "notin", "(", ")", ",", " ", "<", ">", "1", "-", "é");
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join("")),
  );
  fc.assert(
    fc.property(text, fc.dictionary(fc.string(), fc.string()), (selector, labels) => {
      const parsed = parseLabelSelector(selector);
      if (typeof parsed === "string") expect(parsed).not.toBe("");
      else expect(selectsLabels(parsed, labels)).toEqual(expect.any(Boolean));
    }),
  );
});
