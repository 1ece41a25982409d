import { buildEndpoint } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { LengthRanges, parseLengthRange } from "./length-range.ts";

test.each([
  { text: "0-2048", range: { minTokens: 0, maxTokens: 2048 } },
  { text: " 2048 - 8192 ", range: { minTokens: 2048, maxTokens: 8192 } },
  { text: "7-7", range: { minTokens: 7, maxTokens: 7 } },
  { text: "0-9223372036854775807", range: { minTokens: 0, maxTokens: 2 ** 63 } },
])("$text is a range", ({ text, range }) => {
  expect(parseLengthRange(text)).toEqual(range);
});

test.each(["", "-", "5", "5-", "-5", "9-5", "1-2-3", "-1-5", "a-b", "1.5-2", "1 2-3", "0x1-2", `0-${"9".repeat(20)}`])(
  "%j is no range",
  (text) => {
    expect(parseLengthRange(text)).toBeUndefined();
  },
);

test("a range that is written is read back", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (a, b) => {
      const [minTokens, maxTokens] = [Math.min(a, b), Math.max(a, b)];
      expect(parseLengthRange(`${minTokens}-${maxTokens}`)).toEqual({ minTokens, maxTokens });
    }),
  );
});

test("any text is a range from 0 up in order, or none", () => {
  const texts = fc.string({ unit: fc.constantFrom("0", "1", "9", "-", " ", "+", ".", "e") });
  fc.assert(
    fc.property(texts, (text) => {
      const range = parseLengthRange(text);
      if (range !== undefined) expect(0 <= range.minTokens && range.minTokens <= range.maxTokens).toBe(true);
    }),
  );
});

test("an endpoint's range follows its labels when they change", () => {
  const ranges = new LengthRanges("range");
  const endpoint = buildEndpoint(0, { labels: { range: "0-10" } });
  expect(ranges.of(endpoint)).toEqual({ minTokens: 0, maxTokens: 10 });
  expect(ranges.of(endpoint)).toBe(ranges.of(endpoint));
  endpoint.update({ ...endpoint.metadata, labels: { range: "5-6" } });
  expect(ranges.of(endpoint)).toEqual({ minTokens: 5, maxTokens: 6 });
  endpoint.update({ ...endpoint.metadata, labels: {} });
  expect(ranges.of(endpoint)).toBe("unlabelled");
  endpoint.update({ ...endpoint.metadata, labels: { range: "" } });
  expect(ranges.of(endpoint)).toBe("unreadable");
});

test("a label called like a member of every object is a label like others", () => {
  const ranges = new LengthRanges("constructor");
  expect(ranges.of(buildEndpoint(0))).toBe("unlabelled");
  expect(ranges.of(buildEndpoint(0, { labels: { constructor: "1-2" } }))).toEqual({ minTokens: 1, maxTokens: 2 });
});
