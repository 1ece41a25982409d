import { expect, test } from "vitest";
import { PoolModel } from "./pool-model.ts";
import { WorkTable } from "./work-table.ts";

test("rows keep their numbers when others are added, and one that is used again begins empty", () => {
  const table = new WorkTable();
  const rows = Array.from({ length: 50 }, (_, i) => {
    const row = table.add();
    table.queued[row] = i;
    table.prefillFactor[row] = i + 0.5;
    return row;
  });
  expect(new Set(rows).size).toBe(50);
  for (const [i, row] of rows.entries()) expect([table.queued[row], table.prefillFactor[row]]).toEqual([i, i + 0.5]);
  const other = new WorkTable();
  other.add();
  const moved = table.move(rows[7]!, other);
  expect([other.queued[moved], other.prefillFactor[moved]]).toEqual([7, 7.5]);
  const again = table.add();
  expect(again).toBe(rows[7]);
  expect([table.queued[again], table.prefillFactor[again], table.present(again)]).toEqual([0, 1, 0]);
  expect(table.backlogMs(again, new PoolModel(), 1000)).toBe(0);
});
