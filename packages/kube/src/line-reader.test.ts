import fc from "fast-check";
import { expect, test } from "vitest";
import { LineReader } from "./line-reader.ts";

test("however the bytes are cut, the same lines come out; empty ones do not", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "grapheme", maxLength: 8 }).map((text) => text.replaceAll("\n", ""))),
      fc.integer({ min: 1, max: 7 }),
      (lines, size) => {
        const seen: string[] = [];
        const reader = new LineReader(1000, (line) => seen.push(line));
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
        for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
        expect(seen).toEqual(lines.filter((line) => line !== ""));
        expect(reader.midLine).toBe(false);
      },
    ),
  );
});

test("a line beyond the limit is refused before it ends, and a begun line is known as one", () => {
  const reader = new LineReader(10, () => {});
  reader.push(Buffer.from("abc"));
  expect(reader.midLine).toBe(true);
  expect(() => reader.push(Buffer.from("defghijkl"))).toThrow("more than 10 bytes");
});
