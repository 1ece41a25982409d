import { expect, test } from "vitest";
import { elements, get, hasDuplicateKeys, type JsonValue, keepValue, members, parseValue, scanJson } from "./index.ts";

function root(text: string): JsonValue {
  const scanned = scanJson(Buffer.from(text));
  if (!scanned.ok) throw new Error(scanned.message);
  return scanned.root;
}

function parsed(value: JsonValue | undefined): unknown {
  return value === undefined ? undefined : parseValue(value);
}

test("get finds members of the root and of objects inside it", () => {
  const value = root('{ "a" : 1 , "b" : { "c" : [ 2 ] , "d" : "x" } }');
  expect(parsed(get(value, "a"))).toBe(1);
  expect(parsed(get(get(value, "b"), "c"))).toEqual([2]);
  expect(parsed(get(get(value, "b"), "d"))).toBe("x");
});

test("get gives undefined for absent keys, other kinds and undefined", () => {
  const value = root('{"a":[{"b":1}],"s":"{}"}');
  expect(get(value, "b")).toBeUndefined();
  expect(get(value, "")).toBeUndefined();
  expect(get(get(value, "a"), "b")).toBeUndefined();
  expect(get(get(value, "s"), "b")).toBeUndefined();
  expect(get(undefined, "a")).toBeUndefined();
  expect(get(root("{}"), "a")).toBeUndefined();
});

test("get does not take a key for another that starts alike", () => {
  const value = root('{"max":1,"max_tokens":2,"ma":3,"in":{"max":4,"max_tokens":5,"ma":6}}');
  expect([parsed(get(value, "max")), parsed(get(value, "max_tokens")), parsed(get(value, "ma"))]).toEqual([1, 2, 3]);
  const inner = get(value, "in");
  expect([parsed(get(inner, "max")), parsed(get(inner, "max_tokens")), parsed(get(inner, "ma"))]).toEqual([4, 5, 6]);
  expect(get(value, "max_")).toBeUndefined();
});

test.each([
  ["model", '"m\\u006fdel"'],
  ["model", '"\\u006dodel"'],
  ["model", '"mode\\u006c"'],
  ['q"\\/\n', '"q\\"\\\\\\/\\n"'],
  ["", '""'],
  ["clé", '"clé"'],
  ["clé", '"cl\\u00E9"'],
  ["😀", '"\\ud83d\\ude00"'],
  ["a\ufffd", '"a\\ud83d"'],
  ["aaa", '"\\u0061\\u0061\\u0061"'],
  ["__proto__", '"__proto__"'],
  ["toString", '"toString"'],
])("get finds the key %j written as %s", (key, written) => {
  const value = root(`{"x":0,${written}:1,"in":{"x":0,${written}:2}}`);
  expect(parsed(get(value, key))).toBe(1);
  expect(parsed(get(get(value, "in"), key))).toBe(2);
});

test("the escaped spelling of a key is not the key", () => {
  const value = root('{"m\\u006fdel":1}');
  expect(get(value, "m\\u006fdel")).toBeUndefined();
  expect(get(root('{"a\\\\b":1}'), "a")).toBeUndefined();
  expect(parsed(get(root('{"a\\\\b":1}'), "a\\b"))).toBe(1);
});

test("of repeated keys the last one counts, in whatever spelling", () => {
  const value = root('{"a":1,"b":2,"\\u0061":3,"in":{"a":4,"a":5,"c":6}}');
  expect(parsed(get(value, "a"))).toBe(3);
  expect(parsed(get(get(value, "in"), "a"))).toBe(5);
});

test("get finds every member of a root object of the greatest size", () => {
  const list = Array.from({ length: 16_382 }, (_, index) => `"k${index}":${index}`).join(",");
  const value = root(`{"a":"first",${list},"k5":"again"}`);
  expect(parsed(get(value, "a"))).toBe("first");
  expect([0, 1, 8000, 16_381].map((index) => parsed(get(value, `k${index}`)))).toEqual([0, 1, 8000, 16_381]);
  expect(parsed(get(value, "k5"))).toBe("again");
  expect(get(value, "k16382")).toBeUndefined();
});

test("get finds members of an inner object of any size", () => {
  const list = Array.from({ length: 20_000 }, (_, index) => `"k${index}":${index}`).join(",");
  const inner = get(root(`{"in":{${list},"k5":"again"}}`), "in");
  expect([parsed(get(inner, "k0")), parsed(get(inner, "k19999")), parsed(get(inner, "k5"))]).toEqual([
    0,
    19_999,
    "again",
  ]);
});

test("values beyond the recorded spans are read the same way", () => {
  const one = `{"text":"${"x".repeat(130)}","n":[${"1234,".repeat(40)}5]}`;
  const count = 30_000;
  const value = root(`{"list":[${Array.from({ length: count }, () => one).join(",")}],"after":"end"}`);
  const cursor = elements(get(value, "list"));
  let walked = 0;
  let matching = 0;
  while (cursor.next()) {
    walked++;
    const text = get(cursor, "text");
    if (cursor.end - cursor.start === one.length && text !== undefined && text.end - text.start === 132) matching++;
  }
  expect([walked, matching]).toEqual([count, count]);
  expect(parsed(get(value, "after"))).toBe("end");
});

test("lookups in any order find the ends of long values", () => {
  const long = (mark: string) => `"${mark.repeat(200)}"`;
  const value = root(`[${Array.from({ length: 40 }, (_, index) => `{"v":${long(String(index % 10))}}`).join(" , ")}]`);
  const all: JsonValue[] = [];
  const cursor = elements(value);
  while (cursor.next()) all.push(keepValue(cursor));
  for (let step = 0; step < 400; step++) {
    const index = (step * 17) % 40;
    expect(parsed(get(all[index], "v"))).toBe(String(index % 10).repeat(200));
  }
});

test("a cursor gives every element in order with its kind", () => {
  const cursor = elements(root('[null, true ,false,-1.5e3,"s\\n",[[]],{"a":{}} ]'));
  const seen: unknown[] = [];
  while (cursor.next()) seen.push([cursor.kind, cursor.escaped, parseValue(cursor), cursor.key(), cursor.keyIs("a")]);
  expect(seen).toEqual([
    ["null", false, null, undefined, false],
    ["true", false, true, undefined, false],
    ["false", false, false, undefined, false],
    ["number", false, -1500, undefined, false],
    ["string", true, "s\n", undefined, false],
    ["array", false, [[]], undefined, false],
    ["object", false, { a: {} }, undefined, false],
  ]);
  expect(cursor.next()).toBe(false);
});

test("a cursor gives every member in order, repeated keys too", () => {
  const cursor = members(root('{"a":1, "\\u0062" : [2] ,"a":3,"":null}'));
  const seen: unknown[] = [];
  while (cursor.next()) seen.push([cursor.key(), cursor.keyIs("b"), parseValue(cursor)]);
  expect(seen).toEqual([
    ["a", false, 1],
    ["b", true, [2]],
    ["a", false, 3],
    ["", false, null],
  ]);
});

test.each(["[]", "{}", "[ \n ]", "{ \t }", '"[1]"', "1", "null"])("there is nothing to walk over in %s", (text) => {
  expect(elements(root(text)).next()).toBe(false);
  expect(members(root(text)).next()).toBe(false);
});

test("elements are not members and undefined has neither", () => {
  expect(members(root("[1]")).next()).toBe(false);
  expect(elements(root('{"a":1}')).next()).toBe(false);
  expect(elements(undefined).next()).toBe(false);
  expect(members(undefined).next()).toBe(false);
});

test("a kept value stays when the cursor moves", () => {
  const cursor = elements(root('["a\\n","b"]'));
  cursor.next();
  const kept = keepValue(cursor);
  cursor.next();
  expect([parseValue(kept), kept.escaped, parseValue(cursor)]).toEqual(["a\n", true, "b"]);
});

test("two cursors over one container do not disturb each other", () => {
  const value = root("[1,2,3]");
  const [outer, inner] = [elements(value), elements(value)];
  outer.next();
  inner.next();
  inner.next();
  outer.next();
  expect([parseValue(outer), parseValue(inner)]).toEqual([2, 2]);
});

test.each([
  ['{"a":1,"b":2}', false],
  ['{"a":1,"b":2,"a":3}', true],
  ['{"a":1,"\\u0061":2}', true],
  ['{"a":1,"A":2}', false],
  ['{"a":{"b":1,"b":2}}', false],
  ['{"":1,"":2}', true],
  ["{}", false],
  ['["a","a"]', false],
])("repeated keys of %s: %s", (text, repeated) => {
  expect(hasDuplicateKeys(root(text))).toBe(repeated);
});

test("repeated keys of a very large object are not known", () => {
  const list = Array.from({ length: 4097 }, (_, index) => `"k${index}":0`).join(",");
  expect(hasDuplicateKeys(root(`{${list}}`))).toBeUndefined();
  expect(hasDuplicateKeys(undefined)).toBe(false);
});

test("bytes that change after the scan are a bug that is reported, not an endless walk", () => {
  const bytes = Buffer.from('[["a"],"b"]');
  const scanned = scanJson(bytes);
  if (!scanned.ok) throw new Error(scanned.message);
  bytes.fill("[", 1);
  const cursor = elements(scanned.root);
  expect(() => cursor.next()).toThrow("changed after it was scanned");
});
