import { describe, expect, test } from "vitest";
import { elements, get } from "../json/index.ts";
import { firstLimit } from "./first-limit.ts";
import { isString } from "./json-checks.ts";
import { listPrompt } from "./list-prompt.ts";
import { maxPromptParts, tooManyParts } from "./prompt.ts";
import { replaceModel } from "./replace-model.ts";
import { scanBody } from "./scan-body.ts";
import { tokenCount } from "./token-count.ts";
import { isIntegerLiteral, TypeFaults } from "./type-faults.ts";

function fieldOf(text: string) {
  const root = scanBody(Buffer.from(`{"v":${text}}`));
  if (typeof root === "string") throw new Error(root);
  return get(root, "v");
}

describe("scanBody", () => {
  test.each([
    ["{", "unexpected end of JSON input"],
    ["[]", "json: cannot unmarshal array into Go value of type pkg.T"],
    ["7", "json: cannot unmarshal number into Go value of type pkg.T"],
    ["false", "json: cannot unmarshal bool into Go value of type pkg.T"],
    ['"x"', "json: cannot unmarshal string into Go value of type pkg.T"],
  ])("%s is refused", (body, text) => {
    expect(scanBody(Buffer.from(body), "pkg.T")).toBe(text);
  });

  test("null is an object without members", () => {
    const root = scanBody(Buffer.from(" null "));
    if (typeof root === "string") throw new Error(root);
    expect(get(root, "model")).toBeUndefined();
  });

  test("10,000 levels are accepted, one more is not", () => {
    const nested = (levels: number) => Buffer.from(`{"a":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`);
    expect(typeof scanBody(nested(10_000))).toBe("object");
    expect(scanBody(nested(10_001))).toBe("arrays and objects nest deeper than 10000 levels");
  });
});

describe("TypeFaults", () => {
  test("keeps the first fault in the body, whatever the order of the checks", () => {
    const root = scanBody(Buffer.from('{"a":1,"b":[true],"c":null}'));
    if (typeof root === "string") throw new Error(root);
    const faults = new TypeFaults();
    expect(faults.expect(get(root, "c"), "T.c", "string", "string")).toBe(false);
    expect(faults.expect(get(root, "d"), "T.d", "string", "string")).toBe(false);
    expect(faults.text).toBeUndefined();
    const list = elements(get(root, "b"));
    list.next();
    expect(faults.expect(list, "T.b", "string", "string")).toBe(false);
    expect(faults.text).toBe("json: cannot unmarshal bool into Go struct field T.b of type string");
    expect(faults.expect(get(root, "a"), "T.a", "string", "string")).toBe(false);
    expect(faults.expect(get(root, "b"), "T.b", "[]string", "array")).toBe(true);
    expect(faults.text).toBe("json: cannot unmarshal number into Go struct field T.a of type string");
    // A later one does not take its place.
    expect(faults.expect(list, "T.b", "string", "string")).toBe(false);
    expect(faults.text).toBe("json: cannot unmarshal number into Go struct field T.a of type string");
  });

  test.each([
    ["1.5", "json: cannot unmarshal number 1.5 into Go struct field T.n of type int"],
    ["1e2", "json: cannot unmarshal number 1e2 into Go struct field T.n of type int"],
    ["9223372036854775808", "json: cannot unmarshal number 9223372036854775808 into Go struct field T.n of type int"],
    ['"1"', "json: cannot unmarshal string into Go struct field T.n of type int"],
  ])("expectInteger refuses %s", (text, fault) => {
    const faults = new TypeFaults();
    expect(faults.expectInteger(fieldOf(text), "T.n")).toBe(false);
    expect(faults.text).toBe(fault);
  });

  test("a number of any length is shown in part", () => {
    const faults = new TypeFaults();
    faults.expectInteger(fieldOf("1".repeat(100_000)), "T.n");
    expect(faults.text).toBe(`json: cannot unmarshal number ${"1".repeat(64)} into Go struct field T.n of type int`);
  });
});

test.each([
  ["0", true],
  ["-0", true],
  ["9007199254740993", true],
  ["9223372036854775807", true],
  ["-9223372036854775808", true],
  ["-9223372036854775809", false],
  ["1.0", false],
  ["1E0", false],
  ['"1"', false],
  ["null", false],
])("isIntegerLiteral of %s is %s", (text, expected) => {
  expect(isIntegerLiteral(fieldOf(text))).toBe(expected);
});

test.each([
  ["7", 7],
  ["7.9", 7],
  ['" 12 "', 12],
  ['""', undefined],
  ["-1", undefined],
  ["1e400", undefined],
  ["9007199254740992", undefined],
  ["true", undefined],
])("tokenCount of %s is %s", (text, expected) => {
  expect(tokenCount(fieldOf(text))).toBe(expected);
});

test.each([
  ['{"a":3,"b":4}', 3],
  ['{"a":-1,"b":4.0}', 4],
  ['{"a":"3"}', undefined],
  ['{"a":0}', 0],
  ["[3]", undefined],
])("firstLimit of %s is %s", (text, expected) => {
  expect(firstLimit(fieldOf(text), ["a", "b"])).toBe(expected);
});

test.each([
  ['"a"', [["a"]], undefined],
  ['["a","","b"]', [["a"], [], ["b"]], undefined],
  ["[1,2]", [], [[1, 2]]],
])("listPrompt of %s", (text, texts, tokenIds) => {
  const prompt = listPrompt(fieldOf(text), false);
  if (typeof prompt === "string") throw new Error(prompt);
  const segments = prompt?.segments() ?? [];
  expect(
    segments.map((list) => list.map((part) => part.kind === "text" && Buffer.from(part.bytes).toString())),
  ).toEqual(texts);
  expect(prompt?.tokenIds?.map((ids) => [...ids])).toEqual(tokenIds);
});

test("listPrompt refuses too many texts, unless they make one prompt", () => {
  const texts = fieldOf(`[${'"a",'.repeat(maxPromptParts)}"a"]`);
  expect(listPrompt(texts, false)).toBe(tooManyParts);
  expect(listPrompt(texts, true)).toHaveProperty("segments");
});

test.each(['""', "[]", '["a",1]', "[[1]]", "{}", "1", "null"])("listPrompt finds none in %s", (text) => {
  expect(listPrompt(fieldOf(text), false)).toBeUndefined();
});

test.each([
  ['{"a":{"model":"x"}, "model" : 5 }', '{"a":{"model":"x"}, "model" : "new" }'],
  ["{}", '{"model":"new"}'],
  [' { "a":1}', ' {"model":"new", "a":1}'],
])("replaceModel in %s changes the name only", (body, expected) => {
  const root = scanBody(Buffer.from(body));
  if (typeof root === "string") throw new Error(root);
  expect(Buffer.concat(replaceModel(root, "new")).toString()).toBe(expected);
});

test.each<[string, boolean]>([
  ['"image_url"', true],
  ['"\\u0069mage\\u005Furl"', true],
  ['"image_ur\\u006c"', true],
  ['"image_ur"', false],
  ['"image_urls"', false],
  ['"\\u0069mage_urls"', false],
  ['"image_ur\\u006d"', false],
  ['"image_ur\\n"', false],
  ['""', false],
  ["null", false],
  ["[]", false],
])("isString compares what a string says, however it is written: %s", (text, expected) => {
  expect(isString(fieldOf(text), "image_url")).toBe(expected);
});

test("isString knows no value that is missing", () => {
  expect(isString(undefined, "")).toBe(false);
});
