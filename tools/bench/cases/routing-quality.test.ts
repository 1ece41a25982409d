import { expect, test } from "vitest";
import {
  policyName,
  type QualityOutcome,
  type QualityReport,
  qualityGrid,
  qualityPicture,
  qualityTable,
  readReport,
} from "./routing-quality.ts";
import { picture } from "./routing-quality-picture.ts";

function outcome(policy: string, ttftMeanMs: number, fields: Partial<QualityOutcome> = {}): QualityOutcome {
  return {
    policy,
    ttftMs: { mean: ttftMeanMs, p50: ttftMeanMs / 2, p90: ttftMeanMs * 2 },
    endToEndMs: { mean: 12_340 },
    hitRate: 0.256,
    imbalance: 0.5,
    problems: {},
    spread: { ttftMeanMs: { min: ttftMeanMs - 1, max: ttftMeanMs + 1 }, endToEndMeanMs: { min: 12_000, max: 13_000 } },
    ...fields,
  };
}

const report: QualityReport = {
  ...{ workload: "hot-prefix", requests: 3000, servers: 8, replicas: 1, seeds: [1, 2, 3] },
  loads: [
    { load: 0.5, outcomes: [outcome("oracle", 100), outcome("examples/mine.yaml", 150)] },
    { load: 0.9, outcomes: [outcome("oracle", 200), outcome("examples/mine.yaml", 900)] },
  ],
};

/** Points of all lines, in the order in which they stand. */
const linesOf = (svg: string): number[][][] =>
  [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points = ""]) =>
    points.split(" ").map((point) => point.split(",").map(Number)),
  );

test("a picture has a line for each policy in each panel, higher values higher up, and one legend", () => {
  const svg = qualityPicture(report);
  const lines = linesOf(svg);
  expect(lines).toHaveLength(2 * 3);
  const [oracle, mine] = lines;
  expect(oracle!.map(([x]) => x)).toEqual([0, 250]);
  expect(mine![0]![1]).toBeLessThan(oracle![0]![1]!);
  expect(mine![1]![1]).toBeLessThan(mine![0]![1]!);
  for (const [x, y] of lines.flat()) {
    expect(x).toBeGreaterThanOrEqual(0);
    expect(x).toBeLessThanOrEqual(250);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(y).toBeLessThanOrEqual(230);
  }
  expect(svg.match(/>mine<\/text>/g)).toHaveLength(1);
  expect(svg.match(/<polyline[^>]*stroke-dasharray/g)).toHaveLength(3);
  expect(svg).toContain("hot-prefix: 3000 requests, 8 servers");
});

test("equal steps of a factor are equal steps of height", () => {
  const points = [1, 10, 100].map((y, x) => [x, y] as const);
  const [line] = linesOf(
    picture("t", [{ title: "p", xTitle: "x", series: [{ name: "n", color: "#000", dashed: false, points }] }]),
  );
  expect(line!.map(([, y]) => y)).toEqual([230, 115, 0]);
});

test("every tag is closed, and names cannot open one", () => {
  const series = [{ name: "<b>&", color: "#000000", dashed: false, points: [[1, 1] as const] }];
  const svg = picture("a < b & c", [{ title: "t", xTitle: "x", series }]);
  const open: string[] = [];
  for (const [, close, name, self] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (close === "/") expect(open.pop()).toBe(name);
    else if (self !== "/") open.push(name!);
  }
  expect(open).toEqual([]);
  expect(svg).toContain("&lt;b&gt;&amp;");
});

test.each([[[]], [[[1, 0]]], [[[1, Number.NaN]]], [[[Number.NaN, 1]]]] as const)("%j cannot be drawn", (points) => {
  const series = [
    { name: "n", color: "#000000", dashed: false, points: points as readonly (readonly [number, number])[] },
  ];
  expect(() => picture("t", [{ title: "wait", xTitle: "x", series }])).toThrow("wait");
});

test("a table has each figure with its spread, and says what was not served", () => {
  const [, , first, , , last] = qualityTable(report).split("\n");
  expect(first).toBe("| 0.5 | oracle | 100 (99-101) | 50 | 200 | 12.34 (12.00-13.00) | 25.6 | 0.50 |");
  expect(last).toContain("| 0.9 | mine | 900");
  const failed = {
    ...report,
    seeds: [1],
    loads: [{ load: 0.8, outcomes: [outcome("random", 5, { problems: { late: 3 } })] }],
  };
  expect(qualityTable(failed)).toContain("| 0.8 | random (3 not served) | 5 | 3 |");
});

test("the short table has a column for each load", () => {
  expect(qualityGrid(report).split("\n")).toEqual([
    "| policy | load 0.5 | load 0.9 |",
    "| --- | ---: | ---: |",
    "| oracle | 100 / 200 / 12.34 | 200 / 400 / 12.34 |",
    "| mine | 150 / 300 / 12.34 | 900 / 1800 / 12.34 |",
  ]);
});

test("a configuration is called as its file", () => {
  expect([policyName("a/b/mine.yaml"), policyName("c.yml"), policyName("oracle")]).toEqual(["mine", "c", "oracle"]);
});

test("what is no report with loads is refused by its name", () => {
  expect(() => readReport("{}", "x.json")).toThrow("x.json is no report");
  expect(() => readReport('{"loads":[{}]}', "y.json")).toThrow("y.json is no report");
});
