import fc from "fast-check";
import { expect, test } from "vitest";
import { get, parseValue, scanJson } from "./index.ts";
import { referenceValue } from "./json-scan.fuzz.ts";

function parse(text: string | Uint8Array): unknown {
  const scanned = scanJson(typeof text === "string" ? Buffer.from(text) : text);
  return scanned.ok ? parseValue(scanned.root) : scanned.message;
}

const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);

/** Writes a value as JSON with random white space, and some characters as escapes. */
function written(value: unknown, next: () => string, escapes: boolean): string {
  const list = (parts: string[]) => parts.map((part) => next() + part + next()).join(",");
  if (Array.isArray(value)) return `[${next()}${list(value.map((element) => written(element, next, escapes)))}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(
      ([key, member]) => `${written(key, next, escapes)}${next()}:${next()}${written(member, next, escapes)}`,
    );
    return `{${next()}${list(entries)}}`;
  }
  const text = Object.is(value, -0) ? "-0" : JSON.stringify(value);
  if (typeof value !== "string" || !escapes) return text;
  return text.replace(/[a-z](?=[^\\]*$)/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

test("any value in any white space is accepted and read back", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(space, { minLength: 1 }), fc.boolean(), (value, spaces, escapes) => {
      let turn = 0;
      const next = () => spaces[turn++ % spaces.length] ?? "";
      const text = next() + written(value, next, escapes) + next();
      expect(parse(text)).toEqual(value);
    }),
    { numRuns: 500 },
  );
});

test("texts of fast-check read as the reference reads them", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(parse(text)).toEqual(referenceValue(text));
    }),
    { numRuns: 500 },
  );
});

test("bytes that change are accepted and rejected as JSON.parse does", () => {
  const change = fc.record({ at: fc.nat(), remove: fc.nat({ max: 2 }), insert: fc.uint8Array({ maxLength: 2 }) });
  fc.assert(
    fc.property(fc.json(), fc.array(change, { maxLength: 3 }), (text, changes) => {
      let bytes = Buffer.from(text);
      for (const { at, remove, insert } of changes) {
        const place = at % (bytes.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + remove)]);
      }
      const decoded = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
      expect(scanJson(bytes).ok).toBe(referenceValue(decoded) !== undefined);
    }),
    { numRuns: 2000 },
  );
});

test("a key is read as itself after other keys with backslashes were read", () => {
  JSON.parse('{"b":1,"\\\\":1}');
  parse('{"b":1,"\\\\":1}');
  expect(parse('{"b":1,"\\u0061":2}')).toEqual({ b: 1, a: 2 });
});

test("lone surrogates and bytes that are not UTF-8 give U+FFFD in keys and strings", () => {
  expect(parse('{"\\ud800":["\\udc00x"]}')).toEqual({ "\ufffd": ["\ufffdx"] });
  expect(parse(Buffer.from('["\xe2\x82"]', "latin1"))).toEqual(["\ufffd\ufffd"]);
});

test("a key named __proto__ is a plain member", () => {
  for (const text of ['{"__proto__":{"a":1}}', '{"__proto__":{"a":1},"b":"\\n"}']) {
    const value = parse(text);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.getOwnPropertyDescriptor(value, "__proto__")?.value).toEqual({ a: 1 });
  }
});

test("of repeated keys the last one counts, with and without escapes", () => {
  expect(parse('{"a":1,"b":2,"a":3}')).toEqual({ a: 3, b: 2 });
  expect(parse('{"a":1,"b":2,"\\u0061":3}')).toEqual({ a: 3, b: 2 });
});

test("the deepest accepted value is built without recursion", () => {
  const depth = 10_000;
  const scanned = scanJson(Buffer.from(`${"[".repeat(depth)}"\\n"${"]".repeat(depth)}`), { maxDepth: depth });
  let value = scanned.ok ? parseValue(scanned.root) : undefined;
  let levels = 0;
  for (; Array.isArray(value); levels++) value = value[0];
  expect([levels, value]).toEqual([depth, "\n"]);
});

test("a part of a document is built alone", () => {
  const scanned = scanJson(Buffer.from('{"a":{"b":[1,{"c":null}]},"d":"\\n"}'));
  const part = scanned.ok ? get(scanned.root, "a") : undefined;
  expect(part && parseValue(part)).toEqual({ b: [1, { c: null }] });
});
