import { expect, test } from "vitest";
import { parseQuantity } from "./quantity.ts";

test.each([
  ["0", 0n],
  ["100", 100n],
  ["+5", 5n],
  ["-3", -3n],
  ["2k", 2000n],
  ["500M", 500_000_000n],
  ["1Gi", 1_073_741_824n],
  ["512Mi", 536_870_912n],
  ["1.5k", 1500n],
  ["1.5", 2n],
  ["-1.5", -1n],
  [".5", 1n],
  ["5.", 5n],
  ["100m", 1n],
  ["1n", 1n],
  ["1e3", 1000n],
  ["1E3", 1000n],
  ["1E", 1_000_000_000_000_000_000n],
  ["15e-1", 2n],
  ["0.1Ki", 103n],
  ["9223372036854775807", 9_223_372_036_854_775_807n],
])("%s is %d", (text, expected) => {
  expect(parseQuantity(text)).toBe(expected);
});

test.each([
  "",
  ".",
  "k",
  "1kk",
  "1ki",
  "1 k",
  "abc",
  "1Gii",
  "0x10",
  "1e",
  "1_000",
  "--1",
  "9223372036854775808",
  "10E",
  "1e99",
])("%j is no quantity", (text) => {
  expect(parseQuantity(text)).toBeUndefined();
});
