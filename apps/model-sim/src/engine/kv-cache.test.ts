import fc from "fast-check";
import { expect, test } from "vitest";
import { KvCache } from "./kv-cache.ts";

test("a block without a user is found by its key until it is taken for something else", () => {
  const cache = new KvCache(2);
  const block = cache.take();
  cache.publish(block, 7);
  cache.release([block]);
  expect(cache.unused).toBe(2);
  expect(cache.countHits(Float64Array.of(7), 1)).toBe(1);
  const others = [cache.take(), cache.take()];
  expect(others).toContain(block);
  expect(cache.countHits(Float64Array.of(7), 1)).toBe(0);
});

test("a block that is shared again is not the next to be taken", () => {
  const cache = new KvCache(2);
  const [a, b] = [cache.take(), cache.take()];
  cache.publish(a, 1);
  cache.publish(b, 2);
  cache.release([a]);
  cache.release([b]);
  cache.release([cache.share(1)]);
  cache.take();
  expect(cache.countHits(Float64Array.of(1), 1)).toBe(1);
  expect(cache.countHits(Float64Array.of(2), 1)).toBe(0);
});

test("the end of a prompt is forgotten before its start", () => {
  const cache = new KvCache(3);
  const blocks = [cache.take(), cache.take(), cache.take()];
  blocks.forEach((block, i) => {
    cache.publish(block, i + 1);
  });
  cache.release(blocks);
  cache.take();
  expect(cache.countHits(Float64Array.of(1, 2, 3), 3)).toBe(2);
});

test("hits are counted up to the first key that is missing and up to the limit", () => {
  const cache = new KvCache(4);
  for (const key of [1, 2, 4]) cache.publish(cache.take(), key);
  expect(cache.countHits(Float64Array.of(1, 2, 3, 4), 4)).toBe(2);
  expect(cache.countHits(Float64Array.of(1, 2), 1)).toBe(1);
  expect(cache.countUnused(Float64Array.of(1, 2), 2)).toBe(0);
});

test("taking from a pool without a free block, and sharing a key that is not cached, throw", () => {
  const cache = new KvCache(1);
  cache.take();
  expect(() => cache.take()).toThrow("no block is free");
  expect(() => cache.share(9)).toThrow("not cached");
});

test("any sequence of operations agrees with a plain list kept in order of use", () => {
  const operation = fc.oneof(
    fc.record({ do: fc.constant("take" as const), key: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ do: fc.constant("share" as const), key: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ do: fc.constant("release" as const), key: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), fc.integer({ min: 1, max: 6 }), (operations, size) => {
      const cache = new KvCache(size);
      /** Unused blocks, least recently used first; a key where one can be found. */
      let unused: (number | undefined)[] = Array.from({ length: size }, () => undefined);
      const held: { block: number; key: number | undefined }[] = [];
      const usersOf = (key: number) => held.filter((entry) => entry.key === key).length;
      for (const step of operations) {
        const isCached = unused.includes(step.key) || usersOf(step.key) > 0;
        if (step.do === "take" && unused.length > 0) {
          const block = cache.take();
          unused = unused.slice(1);
          const isFindable = unused.includes(step.key) || usersOf(step.key) > 0;
          cache.publish(block, step.key);
          held.push({ block, key: isFindable ? undefined : step.key });
        } else if (step.do === "share" && isCached) {
          if (usersOf(step.key) === 0) unused = unused.filter((key) => key !== step.key);
          held.push({ block: cache.share(step.key), key: step.key });
        } else if (step.do === "release" && held.length > 0) {
          const [entry] = held.splice(step.key % held.length, 1);
          if (entry === undefined) throw new Error("nothing to release");
          cache.release([entry.block]);
          if (entry.key === undefined || usersOf(entry.key) === 0) unused.push(entry.key);
        }
        expect(cache.unused).toBe(unused.length);
        for (let key = 1; key <= 12; key += 1) {
          const isNow = unused.includes(key) || usersOf(key) > 0;
          expect(cache.countHits(Float64Array.of(key), 1)).toBe(isNow ? 1 : 0);
        }
      }
    }),
  );
});
