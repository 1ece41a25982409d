import { expect, test } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

test("a burst passes, then the rate, and what is given back up to the burst", () => {
  let nowMs = 0;
  const clock = (): number => nowMs;
  const bucket = new TokenBucket(3, 10, 0);
  const taken = (): number => {
    let count = 0;
    while (bucket.take(clock)) count++;
    return count;
  };
  expect(taken()).toBe(3);
  nowMs = 200;
  expect(taken()).toBe(2);
  nowMs = 60_000;
  expect(taken()).toBe(3);
  bucket.give(2);
  expect(taken()).toBe(2);
  bucket.give(100);
  expect(taken()).toBe(3);
  bucket.give(3);
  bucket.owe(4);
  expect(taken()).toBe(0);
  nowMs = 60_100;
  expect(taken()).toBe(0);
  nowMs = 60_200;
  expect(taken()).toBe(1);
});
