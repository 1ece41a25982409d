import { expect, test } from "vitest";
import { afterFailure, failureReply, type UpstreamFailureKind } from "./upstream-failure.ts";

const kinds: readonly UpstreamFailureKind[] = [
  "connect-failed",
  "connect-timeout",
  "closed",
  "answer-timeout",
  "bad-answer",
];

test("after a byte of an answer nothing is sent again", () => {
  for (const kind of kinds) {
    for (const reused of [true, false]) {
      expect(afterFailure({ kind, problem: "", reused, answered: true })).toBe("give-up");
    }
  }
});

test.each([
  ["connect-failed", false, "next-endpoint"],
  ["connect-timeout", false, "next-endpoint"],
  ["closed", true, "fresh-connection"],
  ["closed", false, "give-up"],
  ["answer-timeout", true, "give-up"],
  ["answer-timeout", false, "give-up"],
] as const)("before any byte, %s on a connection used before (%s): %s", (kind, reused, next) => {
  expect(afterFailure({ kind, problem: "", reused, answered: false })).toBe(next);
});

test("time-outs are 504, the rest is 502", () => {
  const statuses = kinds.map((kind) => failureReply({ kind, problem: "", reused: false, answered: false }, 1).status);
  expect(statuses).toEqual([502, 504, 502, 504, 502]);
});
