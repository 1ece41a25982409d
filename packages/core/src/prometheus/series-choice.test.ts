import { describe, expect, test } from "vitest";
import { MetricSpec } from "./metric-spec.ts";
import { MetricsQuery } from "./metrics-query.ts";
import type { Reduction } from "./series-choice.ts";
import { groupByLabel, largestValueSample, latestSample, matchingSamples, reduceSamples } from "./series-choice.ts";

const query = new MetricsQuery(["load"]);

function samplesOf(...lines: string[]): ReturnType<typeof matchingSamples> {
  return matchingSamples(query.scan(Buffer.from(lines.join("\n"))), new MetricSpec("load"));
}

describe("matching", () => {
  const page = query.scan(Buffer.from('load{e="0",m="a"} 1\nload{m="a",e="1"} 2\nload{e="0"} 3\nload 4\n'));
  const values = (...labels: [string, string][]): number[] =>
    matchingSamples(page, new MetricSpec("load", labels)).map((sample) => sample.value);

  test("all labels of the spec must be equal, further ones do not matter", () => {
    expect(values()).toEqual([1, 2, 3, 4]);
    expect(values(["e", "0"])).toEqual([1, 3]);
    expect(values(["m", "a"], ["e", "1"])).toEqual([2]);
    expect(values(["e", "2"])).toEqual([]);
  });

  test("a name that the query does not want has no samples", () => {
    expect(matchingSamples(page, new MetricSpec("other"))).toEqual([]);
  });
});

describe("reductions", () => {
  const reductions: Reduction[] = ["sum", "mean", "max", "latest", "largestValue"];
  const all = (...lines: string[]): (number | undefined)[] => {
    const samples = samplesOf(...lines);
    return reductions.map((reduction) => reduceSamples(samples, reduction));
  };

  test("no series: nothing is known", () => {
    expect(all("# nothing")).toEqual([undefined, undefined, undefined, undefined, undefined]);
  });

  test("one series: its value", () => {
    expect(all("load 3")).toEqual([3, 3, 3, 3, 3]);
  });

  test("several series", () => {
    expect(all('load{e="0"} 3', 'load{e="1"} 5', 'load{e="2"} -2')).toEqual([6, 2, 5, 3, 5]);
  });

  test("all negative: the largest is the nearest to zero", () => {
    expect(all('load{e="0"} -3', 'load{e="1"} -2')).toEqual([-5, -2.5, -2, -3, -2]);
  });

  test("a NaN makes sum and mean unknown and is passed over by the largest", () => {
    expect(all('load{e="0"} NaN', 'load{e="1"} 2')).toEqual([undefined, undefined, 2, Number.NaN, 2]);
    expect(all("load NaN")).toEqual([undefined, undefined, undefined, Number.NaN, undefined]);
  });

  test("infinities of both signs have no sum", () => {
    expect(all('load{e="0"} +Inf', 'load{e="1"} -Inf')[0]).toBeUndefined();
    expect(all('load{e="0"} +Inf', 'load{e="1"} 1')[0]).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("one series of several", () => {
  test("the latest has the largest timestamp, the first of equals, none counts as 0", () => {
    expect(latestSample(samplesOf('load{e="0"} 1', 'load{e="1"} 2 5', 'load{e="2"} 3 5'))?.value).toBe(2);
    expect(latestSample(samplesOf('load{e="0"} 1', 'load{e="1"} 2'))?.value).toBe(1);
    expect(latestSample(samplesOf('load{e="0"} 1 -5', 'load{e="1"} 2'))?.value).toBe(2);
    expect(latestSample([])).toBeUndefined();
  });

  test("the largest value is the first of equals", () => {
    const samples = samplesOf('load{e="0"} 1', 'load{e="1"} 2', 'load{e="2"} 2');
    expect(largestValueSample(samples)?.label("e")).toBe("1");
    expect(largestValueSample([])).toBeUndefined();
  });
});

test("series are grouped by a label, those without it under undefined", () => {
  const samples = samplesOf('load{e="1",m="a"} 1', 'load{e="0"} 2', "load 3", 'load{e="1",m="b"} 4', 'load{e=""} 5');
  const groups = [...groupByLabel(samples, "e")].map(([value, group]) => [value, reduceSamples(group, "sum")]);
  expect(groups).toEqual([
    ["1", 5],
    ["0", 2],
    [undefined, 3],
    ["", 5],
  ]);
});
