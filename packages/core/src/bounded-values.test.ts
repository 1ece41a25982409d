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
