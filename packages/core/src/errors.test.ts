import { expect, test } from "vitest";
import { EppBug, EppError, errorText } from "./errors.ts";

test("an error keeps its code, its text and its cause", () => {
  const cause = new Error("below");
  const error = new EppError("EPP_TEST_CODE", "what happened", { cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: "EppError", code: "EPP_TEST_CODE", message: "what happened", cause });
});

test("a bug is an error of one code", () => {
  const bug = new EppBug("cannot be");
  expect(bug).toBeInstanceOf(EppError);
  expect(bug).toMatchObject({ name: "EppBug", code: "EPP_BUG", message: "cannot be" });
});

test.each([
  [new TypeError("wrong type"), "wrong type"],
  ["words", "words"],
  [undefined, "undefined"],
  [{ toString: (): string => "own text" }, "own text"],
])("%s has the text %j", (thrown, text) => {
  expect(errorText(thrown)).toBe(text);
});
