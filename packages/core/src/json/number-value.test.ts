import fc from "fast-check";
import { expect, test } from "vitest";
import { type JsonValue, numberValue, scanJson, uint32Values } from "./index.ts";

function root(text: string): JsonValue {
  const scanned = scanJson(Buffer.from(text));
  if (!scanned.ok) throw new Error(scanned.message);
  return scanned.root;
}

test.each([
  "0",
  "-0",
  "7",
  "-12",
  "999999999999999",
  "9999999999999999",
  "123456789012345678901234567890",
  "0.1",
  "-1.5e-3",
  "1E5",
  "5e-324",
  "1e400",
  "-1e400",
  "1e-400",
])("%s reads as the nearest float64", (text) => {
  expect(numberValue(root(text))).toBe(Number(text));
});

test("a number of a hundred thousand digits reads as Infinity", () => {
  expect(numberValue(root("9".repeat(100_000)))).toBe(Number.POSITIVE_INFINITY);
});

test.each(['"1"', "null", "true", "[1]", "{}"])("%s is not a number", (text) => {
  expect(numberValue(root(text))).toBeUndefined();
  expect(numberValue(undefined)).toBeUndefined();
});

test.each([
  ["[]", []],
  ["[ ]", []],
  ["[0]", [0]],
  ["[1,2,3]", [1, 2, 3]],
  [" [ 1 ,\n2\t, 3 ] ", [1, 2, 3]],
  ["[1, 2, 3]", [1, 2, 3]],
  ["[4294967295]", [4294967295]],
  ["[7.0,7e0,70e-1,0.0,-0]", [7, 7, 7, 0, 0]],
])("%s is a list of token ids", (text, ids) => {
  expect([...(uint32Values(root(text)) ?? ["none"])]).toEqual(ids);
});

test.each([
  "[4294967296]",
  "[42949672950]",
  "[99999999999999999999]",
  "[-1]",
  "[1,-1]",
  "[1.5]",
  "[1e400]",
  "[1e10]",
  '["1"]',
  "[1,null]",
  "[true]",
  "[[1]]",
  "[1,[2]]",
  "[{}]",
  "{}",
  "1",
  '"[1]"',
])("%s is not a list of token ids", (text) => {
  expect(uint32Values(root(text))).toBeUndefined();
});

test("token ids read as JSON.parse reads them", () => {
  const space = fc.constantFrom("", " ", "\n");
  const element = fc.tuple(space, fc.integer({ min: 0, max: 0xffff_ffff }), space);
  fc.assert(
    fc.property(fc.array(element, { maxLength: 50 }), (list) => {
      const text = `[${list.map(([before, id, after]) => `${before}${id}${after}`).join(",")}]`;
      expect([...(uint32Values(root(text)) ?? ["none"])]).toEqual(JSON.parse(text));
    }),
  );
});
