import { expect, test } from "vitest";
import { BackOff } from "./back-off.ts";

test("waits double up to the limit, are shortened by up to half, and start over after a success", () => {
  let random = 0;
  const backOff = new BackOff({ firstMs: 100, mostMs: 500, random: () => random });
  expect([backOff.next(), backOff.next(), backOff.next(), backOff.next(), backOff.next()]).toEqual([
    100, 200, 400, 500, 500,
  ]);
  random = 0.5;
  expect(backOff.next()).toBe(375);
  backOff.reset();
  expect(backOff.next()).toBe(75);
});
