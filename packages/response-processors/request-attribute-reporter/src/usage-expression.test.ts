import fc from "fast-check";
import { expect, test } from "vitest";
import { compileUsageExpression, usageFields } from "./usage-expression.ts";

const usage = usageFields({ promptTokens: 7, completionTokens: 10, totalTokens: 17, cachedTokens: 4 });
const compile = (text: string, results: readonly string[] = ["double", "int", "bool"]) =>
  compileUsageExpression("expression", text, results);

test.each([
  ["usage.completion_tokens", 10],
  ['usage["prompt_tokens"]', 7],
  ["usage.prompt_tokens_details.cached_tokens", 4],
  ["usage.prompt_tokens + 4 * usage.completion_tokens", 47],
  ["usage.prompt_tokens * 0.5 - 1", 2.5],
  ["usage.completion_tokens / 4", 2.5],
  ["100 / usage.completion_tokens", 10],
  ["has(usage.audio_tokens) ? usage.audio_tokens : usage.total_tokens", 17],
  ["has(usage.completion_tokens) && usage.completion_tokens > 9", true],
  ["[usage.prompt_tokens, usage.completion_tokens].exists(n, n > 9.0)", true],
])("%s is %s", (text, expected) => {
  expect(compile(text).evaluate(usage)).toBe(expected);
});

test("whole numbers are CEL integers", () => {
  expect(compile("1 + 2").evaluate(usage)).toBe(3n);
});

test.each([
  ["usage.", "no valid CEL"],
  ["usage.prompt_tokens +", "no valid CEL"],
  ["tokens", "Unknown variable: tokens"],
  ["max(usage.prompt_tokens, 1)", "max"],
  ['"a" + 1', "no such overload: string + int"],
  ['"text"', "its value is of type string, not double or int or bool"],
  ["[1].map(x, [2].map(y, y)).size()", "map() within another iteration is not supported"],
  ["[1, 2].all(x, [3].exists(y, y == x))", "exists() within another iteration is not supported"],
  ['"aaaa".matches("(a+)+b")', "matches() is not supported"],
  ['usage.exists(k, k.matches("(a+)+b"))', "matches() is not supported"],
  [`${"1 + ".repeat(300)}1`, "no valid CEL"],
  [`${"(".repeat(60)}1${")".repeat(60)}`, "no valid CEL"],
])("%s is refused: %s", (text, message) => {
  expect(() => compile(text)).toThrow(message);
  expect(() => compile(text)).toThrow(/^expression is no valid CEL expression: /);
});

test("a value of another type than is asked for is refused, an unknown one is not", () => {
  expect(() => compile("usage.prompt_tokens > 1", ["double", "int"])).toThrow("type bool, not double or int");
  expect(() => compile("1.5", ["bool"])).toThrow("type double, not bool");
  expect(compile("usage.prompt_tokens", ["bool"]).evaluate(usage)).toBe(7);
});

test.each(["usage.audio_tokens", "1 / 0", "usage.prompt_tokens + 'a'", "usage.prompt_tokens % 2"])(
  "%s has no value and throws",
  (text) => {
    expect(() => compile(text).evaluate(usage)).toThrow();
  },
);

test("an answer without counts has no fields, one that leaves some out has 0 for them", () => {
  expect(usageFields(undefined)).toEqual({});
  expect(
    usageFields({ promptTokens: 3, completionTokens: undefined, totalTokens: 3, cachedTokens: undefined }),
  ).toEqual({ prompt_tokens: 3, completion_tokens: 0, total_tokens: 3 });
});

test("whatever text it is given, compiling ends with an expression or an error that names it", () => {
  const fragments = fc.constantFrom(
    ...[
      "usage",
      ".",
      "prompt_tokens",
      "(",
      ")",
      "[",
      "]",
      "1",
      "2.5",
      "+",
      "*",
      "?",
      ":",
      ",",
      "has",
      "map",
      "x",
      "'s'",
    ],
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(fragments, { maxLength: 30 }).map((parts) => parts.join(" ")),
  );
  fc.assert(
    fc.property(text, (source) => {
      try {
        compile(source);
      } catch (thrown: unknown) {
        expect(String(thrown)).toContain("expression is no valid CEL expression: ");
      }
    }),
    { numRuns: 500 },
  );
});
