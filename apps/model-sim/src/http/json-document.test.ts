import fc from "fast-check";
import { expect, test } from "vitest";
import { ApiError } from "./api-error.ts";
import { describeJsonError, parseJsonObject } from "./json-document.ts";

function refusal(body: string | Buffer): string {
  try {
    parseJsonObject(Buffer.from(body));
  } catch (error: unknown) {
    if (error instanceof ApiError && error.status === 400) return error.message;
    throw error;
  }
  throw new Error("the body was accepted");
}

test("a JSON object is returned as it is", () => {
  expect(parseJsonObject(Buffer.from('{"a":[1,{"b":null}],"ü":"\\u00e4"}'))).toEqual({ a: [1, { b: null }], ü: "ä" });
});

test("what is wrong and where is said", () => {
  expect(refusal('{"a": x}')).toContain('expected a value but found "x" at line 1, column 7');
  expect(refusal('{\n  "a": 1,\n}')).toContain('expected a key in double quotes but found "}" at line 3, column 1');
  expect(refusal('{"a" 1}')).toContain('expected ":" but found "1" at line 1, column 6');
  expect(refusal('{"a": [1 2]}')).toContain('expected "," or "]" but found "2" at line 1, column 10');
  expect(refusal('{"a": "b')).toContain("expected a closing double quote but found the end at line 1, column 9");
  expect(refusal('{"a": "\\x"}')).toContain('expected a valid escape but found "x" at line 1, column 9');
  expect(refusal('{"a": 1} 2')).toContain('expected the end but found "2" at line 1, column 10');
  expect(refusal('{"a": "b\u0001"}')).toContain("expected an escaped control character");
  expect(refusal("")).toContain("no body");
  expect(refusal("[1]")).toContain("is an array");
  expect(refusal("null")).toContain("is null");
  expect(refusal(Buffer.of(0x7b, 0xff, 0x7d))).toContain("UTF-8");
});

test("deep nesting is refused without exhausting the stack", () => {
  expect(refusal("[".repeat(200_000))).toContain("nested deeper than 10000 levels");
});

test("a place is given for every text that is not JSON, and for no other", () => {
  const broken = fc
    .tuple(fc.json(), fc.nat(), fc.nat(3), fc.constantFrom("", "{", "}", "]", ",", '"', "\\", "-", "1", "e", "\n", "x"))
    .map(([text, at, removed, added]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + added + text.slice(place + removed);
    });
  fc.assert(
    fc.property(broken, (text) => {
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      const description = describeJsonError(text);
      if (isJson) expect(description).toBe("it cannot be parsed");
      else expect(description).toMatch(/^expected .* at line \d+, column \d+$/s);
    }),
    { numRuns: 2000 },
  );
});
