import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { array, assert as check, integer, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { BodyChunks } from "./body-chunks.ts";

test("the body is its chunks, however many and however small", () => {
  void check(
    property(array(uint8Array({ maxLength: 3 })), integer({ min: 1, max: 900 }), (pieces, times) => {
      const chunks = new BodyChunks();
      const all: Uint8Array[] = [];
      for (let time = 0; time < times; time++) {
        for (const piece of pieces) {
          chunks.push(piece);
          all.push(piece);
        }
      }
      const whole = Buffer.concat(all);
      expect(chunks.byteCount).toBe(whole.length);
      expect(Buffer.from(chunks.take()).equals(whole)).toBe(true);
      expect(chunks.byteCount).toBe(0);
      expect(chunks.take()).toHaveLength(0);
    }),
    { numRuns: 50 },
  );
});

test("large and small chunks mix", () => {
  const chunks = new BodyChunks();
  const all = Array.from({ length: 2000 }, (_, at) => Buffer.alloc(at % 500 === 0 ? 100_000 : 1, at));
  for (const chunk of all) chunks.push(chunk);
  expect(Buffer.from(chunks.take()).equals(Buffer.concat(all))).toBe(true);
});

test("a chunk that is a small part of large memory does not keep that memory", () => {
  const chunks = new BodyChunks();
  const large = new Uint8Array(1_000_000);
  chunks.push(large.subarray(0, 100));
  large[0] = 1;
  expect(chunks.take().buffer.byteLength).toBe(100);
});

test("many chunks out of pools keep those pools for a short time only", () => {
  const chunks = new BodyChunks();
  const pool = new Uint8Array(65_536);
  for (let at = 0; at < 256; at++) chunks.push(pool.subarray(0, 1000));
  pool[0] = 1;
  expect(chunks.take()[0]).toBe(0);
});

test("a large part of its memory is not copied", () => {
  const chunks = new BodyChunks();
  const part = new Uint8Array(1_000_000).subarray(0, 300_000);
  chunks.push(part);
  expect(chunks.take()).toBe(part);
});

test("a million chunks of one byte take memory in proportion to their bytes", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  const chunks = new BodyChunks();
  const count = 1_000_000;
  for (let at = 0; at < count; at++) chunks.push(Uint8Array.of(at));
  // Kept one by one, they take more than 100 bytes each.
  expect(used() - before).toBeLessThan(count * 20);
  expect(chunks.byteCount).toBe(count);
});
