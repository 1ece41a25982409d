import { expect, test } from "vitest";
import { BoundedValues } from "./bounded-values.ts";

test("values beyond the limit become `other`; known ones and the empty one stay", () => {
  const values = new BoundedValues(2);
  expect(["a", "b", "c", "a", "", "b", "d"].map((value) => values.bound(value))).toEqual([
    "a",
    "b",
    "other",
    "a",
    "",
    "b",
    "other",
  ]);
});

test("a value of more than 256 characters is `other`, and takes no place", () => {
  const values = new BoundedValues(1);
  const [long, longer] = ["a".repeat(256), "a".repeat(257)];
  expect([longer, long, longer, "b"].map((value) => values.bound(value))).toEqual(["other", long, "other", "other"]);
});
