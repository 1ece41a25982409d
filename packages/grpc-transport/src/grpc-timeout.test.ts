import { expect, test } from "vitest";
import { parseGrpcTimeout } from "./grpc-timeout.ts";

test.each([
  ["1H", 3_600_000],
  ["2M", 120_000],
  ["3S", 3000],
  ["40m", 40],
  ["29999940u", 29_999.94],
  ["5000000n", 5],
  ["0m", 0],
  ["99999999H", 359_999_996_400_000],
])("%s is %d ms", (value, timeoutMs) => {
  expect(parseGrpcTimeout(value)).toBeCloseTo(timeoutMs, 6);
});

test.each(["", "S", "5", "5s", "123456789S", "-1S", "1.5S", " 1S", "1 S", "١S"])("%j is not a timeout", (value) => {
  expect(parseGrpcTimeout(value)).toBeUndefined();
});
