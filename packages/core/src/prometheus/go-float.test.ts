import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseGoFloat } from "./go-float.ts";

function parse(text: string): number | undefined {
  return parseGoFloat(`<${text}>`, 1, 1 + text.length);
}

describe("numbers", () => {
  test.each([
    ["0", 0],
    ["-0", -0],
    ["7", 7],
    ["+7", 7],
    ["-7", -7],
    ["007", 7],
    ["3.0", 3],
    ["5.", 5],
    [".5", 0.5],
    ["-.5", -0.5],
    ["0.1", 0.1],
    ["123456789012345", 123456789012345],
    ["123456789012345678901234567890", 1.2345678901234568e29],
    ["0.30000000000000004", 0.30000000000000004],
    ["0.123456789012345", 0.123456789012345],
    ["1.5e+07", 1.5e7],
    ["1E3", 1000],
    ["1e-3", 0.001],
    ["1.7542905762391e+09", 1754290576.2391],
    ["5e-324", 5e-324],
    ["1e-999", 0],
    ["1.7976931348623157e308", Number.MAX_VALUE],
    ["+Inf", Number.POSITIVE_INFINITY],
    ["Inf", Number.POSITIVE_INFINITY],
    ["-Inf", Number.NEGATIVE_INFINITY],
    ["-infinity", Number.NEGATIVE_INFINITY],
    ["+INFINITY", Number.POSITIVE_INFINITY],
    ["NaN", Number.NaN],
    ["nan", Number.NaN],
  ])("%s reads as %d", (text, value) => {
    expect(parse(text)).toBe(value);
  });
});

describe("other texts", () => {
  const bad = ["", "+", "-", ".", "+.", "e5", "1e", "1e+", "1e5.0", "1.2.3", "--1", "1_000", "0x10", "0x1p4", "1p4"];
  test.each([...bad, "1e999", "-1e999", "+NaN", "-NaN", "in", "infinit", "nanx", "1f", "1,5", " 1", "1 ", "١"])(
    "%j is no number",
    (text) => {
      expect(parse(text)).toBeUndefined();
    },
  );
});

const reference = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

test("every finite double reads back from all of its spellings", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.nat(20), (value, digits) => {
      for (const text of [
        String(value),
        value.toExponential(),
        value.toExponential(digits),
        value.toPrecision(digits + 1),
      ]) {
        // A rounded spelling of the largest doubles can lie beyond them.
        const expected = Number(text);
        expect(parse(text)).toBe(Number.isFinite(expected) ? expected : undefined);
      }
    }),
  );
});

test("texts of digits, signs, points and letters are read as the grammar says", () => {
  const text = fc.string({ unit: fc.constantFrom(..."0123456789+-.eE_xp"), maxLength: 24 });
  fc.assert(
    fc.property(text, (candidate) => {
      const value = reference.test(candidate) ? Number(candidate) : Number.NaN;
      expect(parse(candidate)).toBe(Number.isFinite(value) ? value : undefined);
    }),
    { numRuns: 2000 },
  );
});
