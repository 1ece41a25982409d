import { expect, test } from "vitest";
import type { BenchCase, Row } from "./bench-case.ts";
import { figure, median } from "./figure.ts";
import { renderReport, shortNumber } from "./report.ts";

const cases: readonly BenchCase[] = [
  { name: "area/a", about: "What runs.", detail: "small", run: async () => [] },
  { name: "area/b", about: "What runs.", detail: "large", run: async () => [] },
];

function lines(rows: readonly Row[], quick = false): string[] {
  return renderReport(
    {
      command: "pnpm bench",
      startedAt: "2026-01-01T00:00:00.000Z",
      commit: "abc-dirty",
      machine: { cores: 2, cpuModel: "CPU", memoryGib: 4, loadAverage: [1, 2, 3], system: "linux", node: "v24" },
      quick,
      rows,
      microBenches: ["node x.bench.ts"],
    },
    cases,
  ).split("\n");
}

const cellsOf = (text: string, found: readonly string[]): string[] =>
  found
    .find((line) => line.startsWith("|") && line.includes(text))!
    .split("|")
    .map((cell) => cell.trim());

test("a row shows medians, their ratio, and the range of the rounds' ratios", () => {
  const row = figure({
    case: "area/a",
    quantity: "CPU ms",
    pointsman: [3, 1, 2],
    reference: { what: "echo", values: [4, 4, 8] },
    note: "n",
  });
  expect(cellsOf("CPU ms", lines([row]))).toEqual([
    "",
    "area/a",
    "CPU ms",
    "2",
    "4 (echo)",
    "0.50 [0.25-0.75]",
    "n",
    "",
  ]);
});

test("what was not measured stands in the table with its reason", () => {
  const row: Row = { case: "area/a", quantity: "CPU ms", kind: "not measured", why: "X is not set" };
  expect(cellsOf("CPU ms", lines([row]))).toContain("not measured: X is not set");
});

test("the head names machine, load and commit, and warns of quick figures", () => {
  const text = lines([], true).join("\n");
  for (const part of ["2 cores, CPU", "load average 1.00 2.00 3.00", "abc-dirty", "too short to quote"])
    expect(text).toContain(part);
  expect(lines([]).join("\n")).not.toContain("too short to quote");
});

test("an area is explained once, with what sets its cases apart", () => {
  const text = lines([]);
  expect(text.filter((line) => line === "area: What runs.")).toHaveLength(1);
  expect(text).toContain("  a: small");
  expect(text).toContain("  b: large");
});

test("the median of an even count is the mean of the middle two, of nothing NaN", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
  expect(shortNumber(median([]))).toBe("unknown");
});
