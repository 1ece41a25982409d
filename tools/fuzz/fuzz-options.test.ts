import { expect, test } from "vitest";
import { readFuzzOptions } from "./fuzz-options.ts";

const known = ["a", "b", "c"];

test("without arguments every target gets a minute and the seed is drawn", () => {
  const run = readFuzzOptions(["--jobs", "2"], known);
  expect(run).toMatchObject({ targets: known, timeMs: 60_000, jobs: 2 });
  expect(typeof run === "object" && run.seed >= 0).toBe(true);
});

test.each([
  [["--seconds", "5", "--seed", "7", "--jobs", "1"], { targets: known, timeMs: 5000, seed: 7, jobs: 1 }],
  [["b", "--jobs", "8", "--seed", "0"], { targets: ["b"], timeMs: 60_000, seed: 0, jobs: 1 }],
  // Three targets, two at a time, are two rounds.
  [["--budget-seconds", "100", "--jobs", "2", "--seed", "1"], { targets: known, timeMs: 50_000, seed: 1, jobs: 2 }],
  [["--budget-seconds", "900", "--jobs", "2", "--seed", "1"], { targets: known, timeMs: 60_000, seed: 1, jobs: 2 }],
])("%j", (args, wanted) => {
  expect(readFuzzOptions(args, known)).toEqual(wanted);
});

test.each([
  [["d"], 'no target "d"; there are: a, b, c'],
  [["--seconds", "0"], "--seconds=0: give a whole number from 1 to 4294967295"],
  [["--seconds", ""], "--seconds=: give a whole number from 1 to 4294967295"],
  [["--seed", "x"], "--seed=x: give a whole number from 0 to 4294967295"],
  [["--jobs", "1.5"], "--jobs=1.5: give a whole number from 1 to 4294967295"],
])("%j is refused with a text that says why", (args, text) => {
  expect(readFuzzOptions(args, known)).toBe(text);
});

test("an unknown flag is refused with the usage", () => {
  expect(readFuzzOptions(["--minutes", "1"], known)).toMatch(/minutes[\s\S]*usage: pnpm fuzz/);
});
