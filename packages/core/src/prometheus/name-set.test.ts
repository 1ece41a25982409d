import fc from "fast-check";
import { expect, test } from "vitest";
import { NameSet } from "./name-set.ts";

function naive(names: readonly string[], text: string, from: number, end: number): number {
  const name = /^[a-zA-Z0-9_:]*/.exec(text.slice(from, end))![0];
  return names.indexOf(name);
}

const name = fc.stringMatching(/^[ab_:][ab_:0]{0,5}$/);

test("finds exactly the name that stands at the position, as a plain comparison does", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { maxLength: 8 }),
      fc.string({ unit: fc.constantFrom("a", "b", "_", ":", "0", " ", "{"), maxLength: 12 }),
      fc.nat(12),
      (names, text, cut) => {
        const set = new NameSet(names);
        const end = Math.max(0, text.length - cut);
        for (let from = 0; from <= end; from++) {
          const found = set.at(text, from, end);
          expect(found).toBe(naive(names, text, from, end));
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test("names that are beginnings of each other are told apart", () => {
  const set = new NameSet(["load", "load_total", "load:sum"]);
  expect(set.at("load 1", 0, 6)).toBe(0);
  expect(set.at("load_total 1", 0, 12)).toBe(1);
  expect(set.at("load:sum{} 1", 0, 12)).toBe(2);
  expect(set.at("load_totals 1", 0, 13)).toBe(-1);
  expect(set.at("loa 1", 0, 5)).toBe(-1);
});

test("a name cut off by the end of the range is not found", () => {
  expect(new NameSet(["load"]).at("load 1", 0, 3)).toBe(-1);
});

test("an empty set finds nothing", () => {
  expect(new NameSet([]).at("load 1", 0, 6)).toBe(-1);
});
