import fc from "fast-check";
import { expect, test } from "vitest";
import { readTrace, TraceError } from "./read-trace.ts";

const row = (fields: Record<string, unknown> = {}): string =>
  JSON.stringify({ timestamp: 0, input_length: 600, output_length: 5, hash_ids: [0, 1], ...fields });

test("a line becomes a request: blocks of 512 tokens with the ids of the trace, an answer of its own", () => {
  const [first, second] = readTrace(`${row()}\n\n${row({ timestamp: 10, session: "s" })}\n`, "t", 10, 1);
  expect(first).toMatchObject({
    prompt: [{ tokens: 512 }, { tokens: 88 }],
    output: { tokens: 5 },
  });
  expect(second!.prompt).toEqual(first!.prompt);
  expect(second!.output.id).not.toBe(first!.output.id);
  expect([first!.session, second!.session]).toEqual([undefined, "s"]);
});

test("another block size is taken from the line", () => {
  const [only] = readTrace(row({ hash_block_tokens: 250, hash_ids: [4, 5, 6] }), "t", 10, 1);
  expect(only!.prompt.map(({ tokens }) => tokens)).toEqual([250, 250, 100]);
});

test("requests are the earliest ones whatever the order of lines, their times start at 0", () => {
  const times = [9000, 3000, 6000, 12_000];
  const text = times.map((timestamp) => row({ timestamp, output_length: timestamp })).join("\n");
  const outlines = readTrace(text, "t", 3, 1);
  expect(outlines.map(({ output }) => output.tokens)).toEqual([3000, 6000, 9000]);
  outlines.forEach(({ atMs }, i) => {
    expect(atMs).toBeGreaterThanOrEqual(3000 * i);
    expect(atMs).toBeLessThan(3000 * (i + 1));
  });
});

test("times stay within the smallest distance of the trace, in order, and are equal for equal seeds", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 40 }), fc.nat(), (steps, seed) => {
      const text = steps.map((step) => row({ timestamp: 1_700_000_000_000 + step * 7 })).join("\n");
      const read = readTrace(text, "t", 1000, seed);
      const sorted = steps.toSorted((a, b) => a - b);
      read.forEach(({ atMs }, i) => {
        expect(atMs).toBeGreaterThanOrEqual((sorted[i]! - sorted[0]!) * 7);
        expect(atMs).toBeLessThan((sorted[i]! - sorted[0]!) * 7 + 7 * 50);
        if (i > 0) expect(atMs).toBeGreaterThanOrEqual(read[i - 1]!.atMs);
      });
      expect(readTrace(text, "t", 1000, seed)).toEqual(read);
    }),
  );
});

test("requests of one time keep the order of their lines", () => {
  const lengths = Array.from({ length: 20 }, (_, i) => i + 1);
  const text = [...lengths.map((output_length) => row({ output_length })), row({ timestamp: 3000 })].join("\n");
  const outlines = readTrace(text, "t", 20, 1);
  expect(outlines.map(({ output }) => output.tokens)).toEqual(lengths);
  expect(new Set(outlines.map(({ atMs }) => atMs)).size).toBe(20);
});

test("requests that all have one time come at once; times in milliseconds are moved by less than one", () => {
  expect(readTrace(`${row()}\n${row()}`, "t", 10, 1).map(({ atMs }) => atMs)).toEqual([0, 0]);
  const text = [0, 1, 60_000, 60_000].map((timestamp) => row({ timestamp })).join("\n");
  const times = readTrace(text, "t", 10, 1).map(({ atMs }) => atMs);
  expect(times.map(Math.floor)).toEqual([0, 1, 60_000, 60_000]);
});

test.each([
  ["{", "trace.jsonl:2: is not JSON: "],
  ["[1]", "trace.jsonl:2: is not a JSON object"],
  ["null", "trace.jsonl:2: is not a JSON object"],
  [row({ timestamp: "now" }), "trace.jsonl:2: timestamp must be a number"],
  [row({ timestamp: undefined }), "trace.jsonl:2: timestamp must be a number"],
  [row({ input_length: 0 }), "trace.jsonl:2: input_length must be a whole number from 1 to 10000000"],
  [row({ input_length: 1e9 }), "trace.jsonl:2: input_length must be a whole number"],
  [row({ output_length: 1.5 }), "trace.jsonl:2: output_length must be a whole number"],
  [row({ output_length: null }), "trace.jsonl:2: output_length must be a whole number"],
  [row({ hash_ids: [1] }), "trace.jsonl:2: hash_ids must have one entry for each 512 tokens of the prompt, 2 in all"],
  [row({ hash_ids: "no" }), "trace.jsonl:2: hash_ids must have one entry"],
  [row({ hash_ids: [1, -1] }), "trace.jsonl:2: hash_ids[1] must be a whole number from 0"],
  [row({ hash_ids: [1, 2 ** 53] }), "trace.jsonl:2: hash_ids[1] must be a whole number from 0"],
  [row({ hash_block_tokens: 0 }), "trace.jsonl:2: hash_block_tokens must be a whole number from 1"],
  [row({ session: 7 }), "trace.jsonl:2: session must be a string"],
])("the line %s is refused with its place", (line, message) => {
  expect(() => readTrace(`${row()}\n${line}`, "trace.jsonl", 1, 1)).toThrow(message);
  expect(() => readTrace(`${row()}\n${line}`, "trace.jsonl", 1, 1)).toThrow(TraceError);
});

test("requests of more tokens than can be replayed are refused where they become too many", () => {
  const longest = row({ input_length: 10_000_000, hash_ids: [7], hash_block_tokens: 10_000_000 });
  const text = Array.from({ length: 60 }, () => longest).join("\n");
  expect(() => readTrace(text, "trace.jsonl", 60, 1)).toThrow(
    "trace.jsonl:54: prompts and answers up to this one have 540000270 tokens together; those of a replay may have " +
      "536870912. Replay at most the 53 earliest requests",
  );
  expect(readTrace(text, "trace.jsonl", 53, 1)).toHaveLength(53);
});

test("a trace without a request is refused", () => {
  expect(() => readTrace("\n \n", "trace.jsonl", 1, 1)).toThrow("trace.jsonl: has no requests");
});
