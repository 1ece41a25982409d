import fc from "fast-check";
import { expect, test } from "vitest";
import { ItemReader } from "./item-reader.ts";

interface Read {
  readonly items: unknown[];
  readonly rest: unknown;
}

function read(text: string, sizes: readonly number[] = [], skip: readonly string[] = []): Read {
  const items: unknown[] = [];
  const reader = new ItemReader({ maxItemBytes: 1 << 20, skip, onItem: (json) => items.push(JSON.parse(json)) });
  const bytes = Buffer.from(text);
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % Math.max(1, sizes.length)] ?? bytes.length;
    reader.push(bytes.subarray(at, at + size));
    at += size;
  }
  return { items, rest: reader.end() };
}

test("items come out in order, and the rest of the list at the end", () => {
  const list = {
    kind: "PodList",
    metadata: { resourceVersion: "7" },
    items: [{ a: 1 }, { b: { c: [1, { d: "}" }] } }],
  };
  expect(read(JSON.stringify(list))).toEqual({ items: list.items, rest: { ...list, items: [] } });
});

test("the head may stand behind the items, as the API server writes custom resources", () => {
  const text = '{"apiVersion":"x/v1","items":[{"a":1}],"kind":"XList","metadata":{"resourceVersion":"9"}}';
  expect(read(text)).toEqual({
    items: [{ a: 1 }],
    rest: { apiVersion: "x/v1", items: [], kind: "XList", metadata: { resourceVersion: "9" } },
  });
});

test.each(['{"items":[]}', '{"items":null}', "{}", '{"items" : [ ] }'])("an empty list has no items: %s", (text) => {
  expect(read(text).items).toEqual([]);
});

test("a list elsewhere with the name of the items is not taken for them", () => {
  const text = '{"metadata":{"items":[{"x":1}]},"other":[{"y":1}],"items":[{"z":1}]}';
  expect(read(text).items).toEqual([{ z: 1 }]);
});

test.each(["", "[]", '{"items":[{"a":1}', '{"items":[{"a":1}]', "}", '{"items":[}]}', "text", '{"items":["'])(
  "what is no whole list is refused: %s",
  (text) => {
    expect(() => read(text)).toThrow();
  },
);

test("an item and a head beyond their limits are refused before they are whole", () => {
  const reader = new ItemReader({ maxItemBytes: 100, onItem: () => {} });
  expect(() => reader.push(Buffer.from(`{"items":[{"a":"${"x".repeat(200)}`))).toThrow("more than 100 bytes");
  expect(() => read(`{"a":"${"x".repeat(70_000)}"}`)).toThrow("more than 65536 bytes");
});

test("members that nobody reads come out as null, deeper ones of the same name as they are", () => {
  const items = [
    {
      spec: { a: [{ b: '}"' }] },
      metadata: { managedFields: [{ x: {} }], name: "n", deep: { spec: { y: 1 } } },
      status: 1,
    },
    { spec: [], metadata: { managedFields: null, name: "m" } },
    { spec: "text", other: { spec: {} } },
  ];
  expect(read(JSON.stringify({ items }), [], ["spec", "managedFields"]).items).toEqual([
    { spec: null, metadata: { managedFields: null, name: "n", deep: { spec: { y: 1 } } }, status: 1 },
    { spec: null, metadata: { managedFields: null, name: "m" } },
    { spec: "text", other: { spec: null } },
  ]);
});

test("however the bytes are cut, what is not skipped comes out whole", () => {
  const items = [
    { spec: { a: ["}", { b: 1 }] }, metadata: { managedFields: [[{}]], name: "n\\" }, status: { c: [1] } },
  ];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }), (sizes) => {
      const [item] = read(JSON.stringify({ items, kind: "L" }), sizes, ["spec", "managedFields"]).items;
      expect(item).toMatchObject({ metadata: { name: "n\\" }, status: { c: [1] } });
    }),
  );
});

test("however the bytes are cut, the same items come out", () => {
  const texts = fc.string({ unit: "grapheme", maxLength: 12 });
  const json = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, texts, fc.integer(), fc.constant(null), tie("list"), tie("object")),
    list: fc.array(tie("value"), { maxLength: 3 }),
    object: fc.dictionary(fc.oneof(texts, fc.constant("items")), tie("value"), { maxKeys: 3 }),
  }));
  fc.assert(
    fc.property(
      fc.array(json.object, { maxLength: 5 }),
      fc.boolean(),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      (items, headFirst, sizes, spaced) => {
        const head = { metadata: { resourceVersion: "1", note: '"items":[' } };
        const list = headFirst ? { ...head, items } : { items, ...head };
        const given = read(JSON.stringify(list, null, spaced ? 2 : undefined), sizes);
        // Written and read once, as both sides are: -0 and the prototype's name do not survive it unchanged.
        expect(given.items).toEqual(JSON.parse(JSON.stringify(items)));
        expect(given.rest).toEqual({ ...head, items: [] });
      },
    ),
  );
});

test("bytes that are anything end in items or in an error, never in more", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...'{}[]",:\\ items1"'), { maxLength: 60 }), (chars) => {
      const reader = new ItemReader({ maxItemBytes: 1000, onItem: () => {} });
      try {
        reader.push(Buffer.from(chars.join("")));
        reader.end();
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(Error);
      }
    }),
  );
});
