import { expect, test } from "vitest";
import { sameValue } from "./same-value.ts";

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}

test.each<[unknown, unknown, boolean]>([
  [1, 1, true],
  [1, "1", false],
  [Number.NaN, Number.NaN, true],
  [null, {}, false],
  [undefined, undefined, true],
  [[1, [2]], [1, [2]], true],
  [[1, 2], [1], false],
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
  [{ a: 1 }, { b: 1 }, false],
  [{ a: undefined }, {}, false],
  [[], {}, false],
  [new Map([["a", [1]]]), new Map([["a", [1]]]), true],
  [new Map([["a", 1]]), new Map([["a", 2]]), false],
  [new Set([1, 2]), new Set([1, 2]), true],
  [new Set([1]), new Set([2]), false],
  [/a/g, /a/g, true],
  [/a/g, /a/i, false],
  [new Date(5), new Date(5), true],
  [new Date(0), new Date(86_400_000), false],
  [new Point(1), new Point(1), true],
  [new Point(1), new Point(2), false],
  [new Point(1), { x: 1 }, false],
  [(a: number) => a, (a: number) => a, true],
  [(a: number) => a, (b: number) => b + 1, false],
])("case %#: %o and %o are the same: %s", (a, b, same) => {
  expect(sameValue(a, b)).toBe(same);
  expect(sameValue(b, a)).toBe(same);
});

test("values that contain themselves end the comparison", () => {
  const a: { self?: unknown } = {};
  a.self = a;
  const b: { self?: unknown } = {};
  b.self = b;
  expect(sameValue(a, b)).toBe(false);
});
