import fc from "fast-check";
import { expect, test } from "vitest";
import { unsharedKey } from "../workload/workload.ts";
import { KvCache } from "./kv-cache.ts";

const blocks = 6;
const keyCount = 9;

/** The same cache, said plainly: a list of free blocks, longest free first, and what each block holds. */
class PlainCache {
  readonly users: number[] = Array.from({ length: blocks }, () => 0);
  readonly keys: (number | undefined)[] = Array.from({ length: blocks }, () => undefined);
  free: number[] = Array.from({ length: blocks }, (_, block) => block);

  matched(keys: readonly number[]): number {
    const miss = keys.findIndex((key) => !this.keys.includes(key));
    return miss === -1 ? keys.length : miss;
  }

  share(key: number): number {
    const block = this.keys.indexOf(key);
    this.free = this.free.filter((each) => each !== block);
    this.users[block]!++;
    return block;
  }

  take(): number {
    const block = this.free.shift()!;
    this.users[block] = 1;
    this.keys[block] = undefined;
    return block;
  }

  publish(block: number, key: number): void {
    if (key !== unsharedKey && !this.keys.includes(key) && this.keys[block] === undefined) this.keys[block] = key;
  }

  release(released: readonly number[]): void {
    for (const block of released.toReversed()) if (--this.users[block]! === 0) this.free.push(block);
  }
}

test("blocks are shared, published, forgotten least recently freed first, and counted as a plain list does", () => {
  const step = fc.record({
    action: fc.constantFrom("share", "take", "publish", "release"),
    key: fc.nat(keyCount - 1),
    pick: fc.nat(5),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const cache = new KvCache(blocks, keyCount);
      const plain = new PlainCache();
      const all = Int32Array.from({ length: keyCount - 1 }, (_, i) => i + 1);
      const held: number[][] = [];
      for (const { action, key, pick } of steps) {
        const sequence = held[pick % Math.max(1, held.length)];
        if (action === "share" && plain.keys.includes(key)) {
          const block = cache.share(key);
          expect(block).toBe(plain.share(key));
          held.push([block]);
        } else if (action === "take" && plain.free.length > 0) {
          const block = cache.take();
          expect(block).toBe(plain.take());
          if (sequence === undefined) held.push([block]);
          else sequence.push(block);
        } else if (action === "publish" && sequence !== undefined) {
          cache.publish(sequence[0]!, key);
          plain.publish(sequence[0]!, key);
        } else if (action === "release" && sequence !== undefined) {
          held.splice(held.indexOf(sequence), 1);
          cache.release(sequence);
          plain.release(sequence);
        }
        const matched = plain.matched([...all]);
        expect(cache.free).toBe(plain.free.length);
        expect(cache.matched(all, all.length)).toBe(matched);
        expect(cache.matched(Int32Array.of(key), 1)).toBe(plain.matched([key]));
        const idle = [...all].slice(0, matched).filter((each) => plain.users[plain.keys.indexOf(each)] === 0);
        expect(cache.idleAmong(all, matched)).toBe(idle.length);
      }
      expect(cache.size).toBe(blocks);
    }),
    { numRuns: 500 },
  );
});

test("the end of a prompt is forgotten before its start", () => {
  const cache = new KvCache(3, 4);
  const sequence = [1, 2, 3].map((key) => {
    const block = cache.take();
    cache.publish(block, key);
    return block;
  });
  cache.release(sequence);
  cache.take();
  expect(cache.matched(Int32Array.of(1, 2, 3), 3)).toBe(2);
});
