import { expect, test } from "vitest";
import { MetricSample } from "./metric-sample.ts";
import { SeriesSet } from "./series-set.ts";

function sample(labels: string): MetricSample {
  return new MetricSample("load", labels, 1, undefined);
}

/** Takes samples in the way a scan does and returns what was found for each. */
function findAll(
  set: SeriesSet,
  entries: readonly (readonly [labels: string, hash: number])[],
): (number | undefined)[] {
  const samples: MetricSample[] = [];
  return entries.map(([labels, hash]) => {
    const found = set.find(sample(labels), hash, samples);
    if (found === undefined) samples.push(sample(labels));
    return found;
  });
}

test("equal label sets in another order and spacing are found", () => {
  const found = findAll(new SeriesSet(), [
    ['a="1",b="2"', 7],
    ['a="1",b="3"', 8],
    [' b = "2" , a="1",', 7],
    ['b="3",a="1"', 8],
  ]);
  expect(found).toEqual([undefined, undefined, 0, 1]);
});

test("different label sets with equal hash stay different", () => {
  const found = findAll(new SeriesSet(), [
    ['a="1"', 7],
    ['a="2"', 7],
    ['a="3"', 7],
    ['a="2"', 7],
    ['a="1"', 7],
    ['a="3"', 7],
  ]);
  expect(found).toEqual([undefined, undefined, undefined, 1, 0, 2]);
});

test("label sets are not confused by quotes, commas and escapes in values", () => {
  const found = findAll(new SeriesSet(), [
    ['a="1",b="2"', 7],
    [String.raw`a="1\",b=\"2"`, 7],
    [String.raw`a="1b\"2"`, 7],
    ['a="",b=""', 7],
    [String.raw`a="b\"\""`, 7],
    ["", 7],
  ]);
  expect(found).toEqual([undefined, undefined, undefined, undefined, undefined, undefined]);
});

test("an empty list of samples starts over", () => {
  const set = new SeriesSet();
  expect(
    findAll(set, [
      ['a="1"', 1],
      ['a="2"', 2],
      ['a="1"', 1],
    ]),
  ).toEqual([undefined, undefined, 0]);
  expect(
    findAll(set, [
      ['a="2"', 2],
      ['a="1"', 1],
      ['a="1"', 1],
    ]),
  ).toEqual([undefined, undefined, 1]);
  expect(findAll(set, [['a="1"', 1]])).toEqual([undefined]);
});
