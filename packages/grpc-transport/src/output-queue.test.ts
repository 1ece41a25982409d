import { array, assert as check, integer, property, tuple } from "fast-check";
import { expect, test } from "vitest";
import type { FrameWriter } from "./frame-writer.ts";
import { OutputQueue } from "./output-queue.ts";

/** The part of a writer that a queue uses; keeps what it is given. */
class Collector {
  readonly parts: Uint8Array[] = [];
  bytes(slice: Uint8Array, start: number, end: number): void {
    this.parts.push(slice.subarray(start, end));
  }
}
// The queue calls `bytes` alone.
const asWriter = (collector: Collector): FrameWriter => collector as unknown as FrameWriter;

test("bytes leave in the order they came, in any portions", () => {
  const sizes = array(tuple(integer({ min: 0, max: 9000 }), integer({ min: 1, max: 9000 })), { maxLength: 40 });
  void check(
    property(sizes, (steps) => {
      const queue = new OutputQueue();
      const collector = new Collector();
      const expected: number[] = [];
      let next = 0;
      for (const [pushed, moved] of steps) {
        const slice = Uint8Array.from({ length: pushed }, () => next++ & 0xff);
        expected.push(...slice);
        queue.push(slice, 0, slice.length);
        queue.moveTo(asWriter(collector), Math.min(moved, queue.byteCount));
      }
      queue.moveTo(asWriter(collector), queue.byteCount);
      expect(Buffer.concat(collector.parts).equals(Buffer.from(expected))).toBe(true);
      expect(queue.byteCount).toBe(0);
    }),
  );
});

test("small parts of large reads do not keep those reads in memory; large ones are not copied", () => {
  const queue = new OutputQueue();
  const collector = new Collector();
  const read = new Uint8Array(65_536);
  for (const size of [10, 2000, 15_000]) queue.push(read, 0, size);
  queue.moveTo(asWriter(collector), queue.byteCount);
  expect(collector.parts.every((part) => part.buffer !== read.buffer)).toBe(true);
  queue.push(read, 0, 40_000);
  queue.moveTo(asWriter(collector), 40_000);
  expect(collector.parts.at(-1)!.buffer).toBe(read.buffer);
});
