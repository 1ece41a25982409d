import { expect, test } from "vitest";
import { fuzzJsonScan } from "./json-scan.fuzz.ts";

test.each([1, 2, 3, 4])("random texts, whole and damaged, read as JSON.parse reads them (seed %i)", (seed) => {
  const { accepted, rejected } = fuzzJsonScan(seed, 2_000);
  expect(accepted).toBeGreaterThan(500);
  expect(rejected).toBeGreaterThan(300);
});
