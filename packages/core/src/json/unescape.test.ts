import fc from "fast-check";
import { expect, test } from "vitest";
import { unescapedLength, unescapeInto } from "./unescape.ts";

const plain = fc.string({ unit: fc.constantFrom("a", "z", " ", "é", "漢", "𝄞", "]", "\u007f"), maxLength: 40 });
const escapes = fc.constantFrom("\\n", "\\\\", '\\"', "\\/", "\\u0041", "\\u00e9", "\\ud834\\udd1e", "\\u005c");

function decoded(text: string, before: number): string {
  const bytes = Buffer.from(`${"x".repeat(before)}${text}"`);
  const target = new Uint8Array(bytes.length + 3);
  const end = unescapeInto(bytes, before, bytes.length - 1, target, 3);
  expect(end - 3).toBe(unescapedLength(bytes, before, bytes.length - 1));
  return Buffer.from(target.subarray(3, end)).toString();
}

test("escapes are decoded wherever they stand", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(plain, escapes), { maxLength: 20 }), fc.nat(7), (parts, before) => {
      const text = parts.join("");
      expect(decoded(text, before)).toBe(JSON.parse(`"${text}"`));
    }),
    { numRuns: 500 },
  );
});

test("one escape at each place of a longer text is decoded", () => {
  for (let at = 0; at <= 50; at++) {
    for (let after = 0; after <= 20; after++) {
      const text = `${"abcdefghij".repeat(5).slice(0, at)}\\n${"klmnopqrst".repeat(2).slice(0, after)}`;
      expect(decoded(text, 0)).toBe(JSON.parse(`"${text}"`));
    }
  }
});
