import fc from "fast-check";
import { expect, test } from "vitest";
import { buildWorkload, type RequestOutline, type Segment, unsharedKey } from "./workload.ts";

const segment = fc.record({ id: fc.integer({ min: -3, max: 3 }), tokens: fc.integer({ min: 1, max: 9 }) });
const outline = fc
  .record({ prompt: fc.array(segment, { minLength: 1, maxLength: 5 }), output: segment })
  .map((parts): RequestOutline => ({ atMs: 0, ...parts }));

/** Every token of what segments hold, by content and place in it. */
function tokensOf(segments: readonly Segment[]): readonly string[] {
  return segments.flatMap(({ id, tokens }) => Array.from({ length: tokens }, (_, i) => `${id}:${i}`));
}

test("keys are equal if and only if all tokens up to the blocks' ends are, those of a single request aside", () => {
  fc.assert(
    fc.property(fc.array(outline, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 5 }), (outlines, size) => {
      const { requests, keyCount } = buildWorkload("made up", outlines, size);
      const keysOf = new Map<string, number[]>();
      for (const request of requests) {
        const tokens = tokensOf([...request.prompt, request.output]);
        expect(request.keys).toHaveLength(Math.floor(tokens.length / size));
        request.keys.forEach((key, block) => {
          const upTo = tokens.slice(0, (block + 1) * size).join(" ");
          keysOf.set(upTo, [...(keysOf.get(upTo) ?? []), key]);
        });
      }
      const shared = new Set<number>();
      for (const [first, ...others] of keysOf.values()) {
        if (others.length === 0) {
          expect(first).toBe(unsharedKey);
          continue;
        }
        expect(first).toBeGreaterThan(unsharedKey);
        expect(first).toBeLessThan(keyCount);
        expect(shared.has(first!)).toBe(false);
        shared.add(first!);
        for (const other of others) expect(other).toBe(first);
      }
      expect(keyCount).toBe(shared.size + 1);
    }),
  );
});

test("many blocks of large and of negative ids all get keys of their own", () => {
  const ids = [0, -1, 2 ** 32, 2 ** 40, 2 ** 52, 2 ** 53 - 1, -(2 ** 40)];
  const outlines = [...ids, ...ids].map((id) => ({
    ...{ atMs: 0, prompt: [{ id, tokens: 200_000 }], output: { id: 7, tokens: 1 } },
  }));
  expect(buildWorkload("long", outlines, 16).keyCount).toBe(ids.length * 12_500 + 1);
});

test("lengths are summed up", () => {
  const prompt = [
    { id: 1, tokens: 20 },
    { id: 2, tokens: 13 },
  ];
  const workload = buildWorkload(
    "two",
    [
      { atMs: 0, prompt, output: { id: 3, tokens: 40 } },
      { atMs: 5, prompt, output: { id: 4, tokens: 7 } },
    ],
    16,
  );
  expect(workload.maxOutputTokens).toBe(40);
  expect(workload.requests.map(({ index, promptTokens, keys }) => [index, promptTokens, keys.length])).toEqual([
    [0, 33, 4],
    [1, 33, 2],
  ]);
});
