import fc from "fast-check";
import { expect, test } from "vitest";
import { PageLines } from "./page-lines.ts";

interface Line {
  readonly text: string;
  readonly number: number;
  readonly terminated: boolean;
}

function rest(lines: PageLines): Line[] {
  const found: Line[] = [];
  while (lines.next()) {
    const text = lines.text.slice(lines.from, lines.end);
    expect(lines.copy(lines.from, lines.end)).toBe(text);
    found.push({ text, number: lines.number, terminated: lines.terminated });
  }
  return found;
}

function expected(text: string): Line[] {
  const parts = text.split("\n");
  const last = parts.pop();
  const found = parts.map((part, index) => ({ text: part, number: index + 1, terminated: true }));
  return last === "" || last === undefined
    ? found
    : [...found, { text: last, number: parts.length + 1, terminated: false }];
}

test("lines equal those of a split, for any mix of short and very long lines", () => {
  const length = fc.oneof(
    { weight: 8, arbitrary: fc.nat(60) },
    { weight: 2, arbitrary: fc.integer({ min: 65_530, max: 65_540 }) },
    { weight: 1, arbitrary: fc.nat(300_000) },
  );
  const lines = new PageLines();
  fc.assert(
    fc.property(fc.array(length, { maxLength: 30 }), fc.boolean(), (lengths, terminated) => {
      const page = lengths.map((size, index) => String(index % 10).repeat(size)).join("\n") + (terminated ? "\n" : "");
      lines.open(Buffer.from(page));
      expect(rest(lines)).toEqual(expected(page));
    }),
    { numRuns: 60 },
  );
});

test("an empty page has no line", () => {
  const lines = new PageLines();
  lines.open(new Uint8Array(0));
  expect(lines.next()).toBe(false);
});

test("rewind goes back to the first line from wherever the reader stands", () => {
  const page = Array.from({ length: 20_000 }, (_, index) => `line ${index}`).join("\n");
  const lines = new PageLines();
  lines.open(Buffer.from(page));
  for (const steps of [0, 1, 15_000, 20_000]) {
    for (let step = 0; step < steps; step++) lines.next();
    lines.rewind();
    expect(lines.next()).toBe(true);
    expect([lines.number, lines.text.slice(lines.from, lines.end)]).toEqual([1, "line 0"]);
    lines.rewind();
  }
  expect(rest(lines)).toHaveLength(20_000);
});

test("bytes in the middle of a larger buffer are read alone", () => {
  const lines = new PageLines();
  lines.open(Buffer.from("no\nyes\nno\n").subarray(3, 7));
  expect(rest(lines)).toEqual([{ text: "yes", number: 1, terminated: true }]);
});

test("every byte keeps its place", () => {
  const lines = new PageLines();
  lines.open(Uint8Array.from([0x00, 0xff, 0x80, 0x0d, 0x0a, 0xc3]));
  expect(rest(lines).map((line) => line.text)).toEqual(["\x00\xff\x80\r", "\xc3"]);
});

test("a closed reader has no lines", () => {
  const lines = new PageLines();
  lines.open(Buffer.from("a\nb\n"));
  lines.close();
  expect(lines.next()).toBe(false);
});
