import { expect, test } from "vitest";
import { listNames, printable, quote } from "./quote.ts";

test("values are shown as JSON on one line, shortened", () => {
  expect(quote("a\nb")).toBe('"a\\nb"');
  expect(quote({ a: [1, null] })).toBe('{"a":[1,null]}');
  expect(quote(Number.NaN)).toBe("NaN");
  expect(quote(undefined)).toBe("undefined");
  expect(quote("x".repeat(1000))).toHaveLength(79 + 1);
  expect(quote(Array.from({ length: 1000 }, (_, i) => i)).length).toBeLessThanOrEqual(80);
});

test("what a terminal would not show is escaped", () => {
  expect(quote("\u202e\u001b\u0085\ud800")).toBe('"\\u{202e}\\u001b\\u{85}\\ud800"');
  expect(printable("a\r\n b\u0007\u2066")).toBe("a b\\u{7}\\u{2066}");
  expect(printable("é 😀 “x”")).toBe("é 😀 “x”");
});

test("long lists of names are cut", () => {
  expect(listNames(["a", "b"])).toBe("a, b");
  expect(listNames(Array.from({ length: 150 }, (_, i) => `n${i}`))).toMatch(/^n0, .*, n99 and 50 more$/);
});
