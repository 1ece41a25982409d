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
      for (const id of map.keys()) expect(table.get(id)).toBe(map.get(id));
      table.clear();
      expect([table.size, table.values(), table.has(1)]).toEqual([0, [], false]);
    }),
  );
});
