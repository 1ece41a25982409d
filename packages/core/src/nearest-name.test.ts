import { expect, test } from "vitest";
import { editDistance, nearestName } from "./nearest-name.ts";

test.each([
  ["", "", 0],
  ["abc", "abc", 0],
  ["abc", "", 3],
  ["blok", "block", 1],
  ["queue-scoerr", "queue-scorer", 1],
  ["kitten", "sitting", 3],
  ["ab", "ba", 1],
])("from %j to %j it takes %d edits", (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits);
  expect(editDistance(b, a)).toBe(edits);
});

test("the nearest candidate wins and the first of equals", () => {
  expect(nearestName("queue-scoerr", ["kv-scorer", "queue-scorer", "queue-scorers"])).toBe("queue-scorer");
  expect(nearestName("bat", ["cat", "hat"])).toBe("cat");
});

test("upper and lower case are alike", () => {
  expect(nearestName("SCHEDULINGPROFILES", ["schedulingProfiles", "saturationDetector"])).toBe("schedulingProfiles");
});

test("a name with nothing in common has no nearest one", () => {
  expect(nearestName("foo", ["queue-scorer", "max-score-picker"])).toBeUndefined();
  expect(nearestName("", ["a"])).toBeUndefined();
  expect(nearestName("b", ["a"])).toBeUndefined();
});

test("names too long to compare have no nearest one", () => {
  const long = "x".repeat(1_000_000);
  expect(nearestName(long, [long])).toBeUndefined();
  expect(nearestName("x", [long])).toBeUndefined();
});
