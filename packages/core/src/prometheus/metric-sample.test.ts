import { expect, test } from "vitest";
import { MetricSample } from "./metric-sample.ts";
import { MetricSpec } from "./metric-spec.ts";

function sample(labels: string): MetricSample {
  return new MetricSample("load", labels, 1, undefined);
}

test("a label is found by its whole name", () => {
  const series = sample('engine_id="7",engine="0",e="x"');
  expect(series.label("engine")).toBe("0");
  expect(series.label("e")).toBe("x");
  expect(series.label("engin")).toBeUndefined();
  expect(series.label("")).toBeUndefined();
});

test("an empty label is there, a missing one is not", () => {
  expect(sample('a=""').label("a")).toBe("");
  expect(sample("").label("a")).toBeUndefined();
});

test("text in a value is never taken for a label", () => {
  const series = sample(String.raw`a="x,b=\"1\"",c="d"`);
  expect(series.label("b")).toBeUndefined();
  expect(series.label("c")).toBe("d");
});

test("escapes and UTF-8 are decoded", () => {
  const bytes = Buffer.from(String.raw`a="q\"b\\n\nz",b="größe 模型"`).toString("latin1");
  expect(sample(bytes).label("a")).toBe('q"b\\n\nz');
  expect([...sample(bytes).labels()]).toEqual([
    ["a", 'q"b\\n\nz'],
    ["b", "größe 模型"],
  ]);
});

test("bytes that are not UTF-8 read as replacement characters", () => {
  expect(sample('a="x\xff"').label("a")).toBe("x\ufffd");
});

test("a spec matches by equality of all its labels, whatever else is there", () => {
  const series = sample(Buffer.from(String.raw`a="1",b="q\"\\",c="é",d=""`).toString("latin1"));
  const spec = (...labels: [string, string][]): MetricSpec => new MetricSpec("load", labels);
  expect(series.matches(spec())).toBe(true);
  expect(series.matches(spec(["a", "1"]))).toBe(true);
  expect(series.matches(spec(["c", "é"], ["b", 'q"\\'], ["a", "1"]))).toBe(true);
  expect(series.matches(spec(["d", ""]))).toBe(true);
  expect(series.matches(spec(["a", "1"], ["c", "e"]))).toBe(false);
  expect(series.matches(spec(["a", "11"]))).toBe(false);
  expect(series.matches(spec(["a", ""]))).toBe(false);
  expect(series.matches(spec(["e", ""]))).toBe(false);
  expect(series.matches(new MetricSpec("loads"))).toBe(false);
  expect(sample('aa="2",a="1"').matches(spec(["a", "1"]))).toBe(true);
});
