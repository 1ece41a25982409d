import { members, scanJson } from "@pointsman/core/json";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { editObject, editRoot, type MemberEdits } from "./edit-object.ts";
import { jsonText, RawJson } from "./json-text.ts";

function edited(text: string, edits: Record<string, string | undefined>): string {
  const document = scanJson(Buffer.from(text));
  if (!document.ok) throw new Error(document.message);
  return Buffer.concat(editRoot(document.root, asEdits(edits))).toString();
}

function asEdits(edits: Record<string, string | undefined>): MemberEdits {
  return new Map(Object.entries(edits).map(([key, text]) => [key, text === undefined ? undefined : Buffer.from(text)]));
}

describe("editing an object", () => {
  test.each([
    ["a member keeps its place", '{"a":1, "b": 2 ,"c":3}', { b: "9" }, '{"a":1, "b": 9 ,"c":3}'],
    ["a new member comes last", '{"a":1 }', { b: "9" }, '{"a":1,"b":9 }'],
    ["a new member of an empty object has no comma", " { } ", { b: "9" }, ' {"b":9 } '],
    ["the first member goes with its comma", '{ "a":1 , "b":2}', { a: undefined }, '{"b":2}'],
    ["a middle member goes with its comma", '{"a":1, "b":2 ,\n"c":3}', { b: undefined }, '{"a":1 ,\n"c":3}'],
    ["the last member goes with its comma", '{"a":1, "b":2 }', { b: undefined }, '{"a":1 }'],
    ["the only member goes", '{"a":1}', { a: undefined }, "{}"],
    ["all but one go", '{"a":1,"b":2,"c":3}', { a: undefined, c: undefined }, '{"b":2}'],
    ["only the last of a repeated member stays", '{"a":1,"b":2,"a":3}', { a: "9" }, '{"b":2,"a":9}'],
    ["all of a repeated member go", '{"a":1,"a":3,"b":2}', { a: undefined }, '{"b":2}'],
    ["a key with escapes is the same key", '{"\\u0061":1,"b":2}', { a: "9" }, '{"\\u0061":9,"b":2}'],
    ["going and coming meet", '{"a":1}', { a: undefined, b: "9" }, '{"b":9}'],
    [
      "digits of other members stay",
      '{"a":12345678901234567890.10,"b":1e999}',
      { c: "0" },
      '{"a":12345678901234567890.10,"b":1e999,"c":0}',
    ],
    [
      "a member __proto__ is one like others",
      '{"__proto__":1,"constructor":2}',
      { __proto: "3" },
      '{"__proto__":1,"constructor":2,"__proto":3}',
    ],
  ])("%s", (_what, text, edits, expected) => {
    expect(edited(text, edits)).toBe(expected);
  });

  test("what is no object becomes one", () => {
    const document = scanJson(Buffer.from('{"x":null}'));
    if (!document.ok) throw new Error(document.message);
    expect(Buffer.concat(editObject(undefined, asEdits({ a: "1", b: undefined }))).toString()).toBe('{"a":1}');
  });
});

const keys = fc.constantFrom("a", "b", "c", "max_tokens", "__proto__", 'q"', "é", "");
const pads = fc.constantFrom("", " ", "\n", "\t ");
const memberLists = fc.array(fc.tuple(keys, fc.json(), pads, pads, pads), { maxLength: 8 });
const changes = fc.array(fc.tuple(keys, fc.option(fc.json(), { nil: undefined })), { maxLength: 5 });

function objectText(list: readonly (readonly [string, string, string, string, string])[]): string {
  return `{${list.map(([key, value, p, q, r]) => `${p}${JSON.stringify(key)}${q}:${r}${value}${p}`).join(",")}}`;
}

test("the edited text means the object with the members set and removed, in any spelling", () => {
  fc.assert(
    fc.property(memberLists, changes, pads, (list, edits, pad) => {
      const text = pad + objectText(list) + pad;
      const edit = new Map(edits.map(([key, value]) => [key, value === undefined ? undefined : Buffer.from(value)]));
      const document = scanJson(Buffer.from(text));
      if (!document.ok) throw new Error(document.message);
      const result = Buffer.concat(editRoot(document.root, edit)).toString();
      const expected = new Map(Object.entries(JSON.parse(text) as Record<string, unknown>));
      for (const [key, value] of edit) {
        if (value === undefined) expected.delete(key);
        else expected.set(key, JSON.parse(value.toString()));
      }
      expect(new Map(Object.entries(JSON.parse(result) as Record<string, unknown>))).toEqual(expected);
      // No reader sees another value of an edited member, whichever of a repeated one it takes.
      const scanned = scanJson(Buffer.from(result));
      if (!scanned.ok) throw new Error(scanned.message);
      for (const key of edit.keys()) {
        let times = 0;
        for (const cursor = members(scanned.root); cursor.next(); ) if (cursor.key() === key) times++;
        expect(times).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test("bytes outside the edited members stay as they are", () => {
  fc.assert(
    fc.property(memberLists, fc.json(), (list, value) => {
      const text = objectText(list);
      const document = scanJson(Buffer.from(text));
      if (!document.ok) throw new Error(document.message);
      const result = Buffer.concat(editRoot(document.root, new Map([["new", Buffer.from(value)]]))).toString();
      const added = `${list.length === 0 ? "" : ","}"new":${value}`;
      const at = result.lastIndexOf(added);
      expect(result.slice(0, at) + result.slice(at + added.length)).toBe(text);
    }),
  );
});

test("JSON text keeps raw parts and leaves undefined members out", () => {
  const text = jsonText({
    room: new RawJson("1795646582458123456"),
    none: undefined,
    list: [1, null, "é\n"],
    empty: {},
  });
  expect(Buffer.from(text).toString()).toBe('{"room":1795646582458123456,"list":[1,null,"é\\n"],"empty":{}}');
});
