import { scanJson } from "@pointsman/core/json";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sameJson } from "./same-json.ts";

function same(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => scanJson(Buffer.from(text)));
  if (!left!.ok || !right!.ok) throw new Error("no JSON");
  return sameJson(left!.root, right!.root);
}

test.each([
  ['{"a":1,"b":[2]}', '{ "b" : [ 2 ], "a" : 1 }', true],
  ['"\\u0061"', '"a"', true],
  ["1", "1.0", true],
  ["12345678901234567890", "12345678901234567890", true],
  ["12345678901234567890", "12345678901234567891", false],
  ["null", "false", false],
  ["[1,2]", "[1]", false],
  ["[1]", "[1,2]", false],
  ['{"a":1}', '{"a":1,"b":2}', false],
  ['{"a":1,"a":2}', '{"a":2, "a":1}', false],
  ['{"a":{"b":1}}', '{"a":{"b":2}}', false],
])("%s and %s: %s", (a, b, expected) => {
  expect(same(a, b)).toBe(expected);
});

test("a value is the same as itself in another order and layout, and not as another", () => {
  const turned = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(turned);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, each]) => [key, turned(each)]),
    );
  };
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const text = JSON.stringify(value);
      expect(same(text, JSON.stringify(turned(JSON.parse(text)), undefined, 2))).toBe(true);
      expect(same(`[${text},1]`, `[${text},2]`)).toBe(false);
    }),
  );
});
