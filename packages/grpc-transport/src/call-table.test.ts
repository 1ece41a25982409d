import { getHeapSpaceStatistics } from "node:v8";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CallTable } from "./call-table.ts";
import type { Http2Call } from "./http2-call.ts";

// The table reads the id alone.
const callOf = (id: number): Http2Call => ({ id }) as unknown as Http2Call;

test("holds what a Map would hold, however streams come and go", () => {
  const step = fc.tuple(fc.constantFrom("add", "delete", "get"), fc.nat(400));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
      const table = new CallTable();
      const map = new Map<number, Http2Call>();
      for (const [what, at] of steps) {
        // Ids that share their first slots, and ids that do not.
        const id = at % 2 === 0 ? 2 * at + 1 : 128 * at + 1;
        const call = callOf(id);
        if (what === "add" && !map.has(id)) {
          table.add(call);
          map.set(id, call);
        } else if (what === "delete") {
          table.delete(id);
          map.delete(id);
        }
        expect(table.get(id)).toBe(map.get(id));
        expect(table.size).toBe(map.size);
      }
      expect(table.values()).toEqual([...map.values()].sort((a, b) => a.id - b.id));
      expect(new Set(table.inAnyOrder())).toEqual(new Set(map.values()));
      for (const id of map.keys()) expect(table.get(id)).toBe(map.get(id));
      table.clear();
      expect([table.size, table.values(), table.has(1)]).toEqual([0, [], false]);
    }),
  );
});

const oldGenerationBytes = (): number =>
  getHeapSpaceStatistics().find((space) => space.space_name === "old_space")!.space_used_size;

test("streams that are over are freed young, however long the table has been there", () => {
  const table = new CallTable();
  let garbage: number[] = [];
  for (let i = 0; i < 400_000; i++) garbage = new Array<number>(50).fill(i);
  expect(garbage).toHaveLength(50);
  const before = oldGenerationBytes();
  let grownBytes = 0;
  for (let id = 1; id < 200_000; id += 2) {
    table.add({ id, memory: new Array<number>(250).fill(id) } as unknown as Http2Call);
    table.delete(id - 32);
    if (id % 1001 === 0) grownBytes = Math.max(grownBytes, oldGenerationBytes() - before);
  }
  expect(table.size).toBe(16);
  // Of 200 MB. With a Map in place of the table, it is most of them.
  expect(grownBytes).toBeLessThan(30e6);
});
