import { expect, test } from "vitest";
import { parseDurationMs } from "./duration.ts";

test.each([
  ["50ms", 50],
  ["2s", 2000],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  ["-5s", -5000],
  ["0", 0],
  ["0s", 0],
  ["+10us", 0.01],
  [".5s", 500],
])("%s is %d ms", (text, expected) => {
  expect(parseDurationMs(text)).toBeCloseTo(expected, 9);
});

test.each(["", "5", "5 s", "s", "1d", "--1s", "1s2", "."])("%j is no duration", (text) => {
  expect(parseDurationMs(text)).toBeUndefined();
});
