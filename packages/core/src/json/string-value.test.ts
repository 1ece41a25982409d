import { expect, test } from "vitest";
import {
  get,
  type JsonValue,
  scanJson,
  stringByteLength,
  stringBytes,
  stringValue,
  writeStringBytes,
} from "./index.ts";

function root(text: string | Uint8Array): JsonValue {
  const scanned = scanJson(typeof text === "string" ? Buffer.from(text) : text);
  if (!scanned.ok) throw new Error(scanned.message);
  return scanned.root;
}

function quoted(...inner: number[]): Uint8Array {
  return Uint8Array.of(0x22, ...inner, 0x22);
}

test("a string without escapes is read as a view of the document", () => {
  const bytes = Buffer.from('{"a":"häuser"}');
  const value = get(root(bytes), "a");
  const content = stringBytes(value);
  expect(content?.buffer).toBe(bytes.buffer);
  expect(content?.byteOffset).toBe(bytes.byteOffset + 6);
  expect(stringValue(value)).toBe("häuser");
});

test("all escapes are decoded", () => {
  const value = root('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\u0000"');
  const text = '"\\/\b\f\n\r\tA\u00e9\u20ac\u{1f600}\u0000';
  expect(stringValue(value)).toBe(text);
  expect(Buffer.from(stringBytes(value) ?? []).toString()).toBe(text);
});

test.each([
  ["\\ud83d", "\ufffd"],
  ["\\ude00", "\ufffd"],
  ["\\ud83dx", "\ufffdx"],
  ["\\ud83d\\n", "\ufffd\n"],
  ["\\ud83d\\u0041", "\ufffdA"],
  ["\\ud83d\\ud83d\\ude00", "\ufffd😀"],
  ["\\ude00\\ud83d", "\ufffd\ufffd"],
  ["\\ude00\\ude00", "\ufffd\ufffd"],
  ["\\\\ud83d", "\\ud83d"],
  ["\\uDBFF\\uDFFF", "\u{10ffff}"],
])("surrogate escapes %s give %j as text and as bytes", (escapes, text) => {
  for (const padding of ["", "padding that makes the string long enough to be read in words "]) {
    const value = root(`"${padding}${escapes}"`);
    expect(stringValue(value)).toBe(padding + text);
    expect(Buffer.from(stringBytes(value) ?? []).toString()).toBe(padding + text);
  }
});

test.each([
  [[0xff], 1],
  [[0xe2, 0x82], 2],
  [[0xed, 0xa0, 0x80], 3],
  [[0xf4, 0x90, 0x80, 0x80], 4],
  [[0xc0, 0x80], 2],
])("bytes %j are no UTF-8: as text one U+FFFD each, as bytes untouched", (bytes, count) => {
  const value = root(quoted(...bytes));
  expect(stringValue(value)).toBe("\ufffd".repeat(count));
  expect([...(stringBytes(value) ?? [])]).toEqual(bytes);
  const escaped = root(quoted(...bytes, 0x5c, 0x6e));
  expect(stringValue(escaped)).toBe(`${"\ufffd".repeat(count)}\n`);
  expect([...(stringBytes(escaped) ?? [])]).toEqual([...bytes, 0x0a]);
});

test("characters at the bounds of UTF-8 stay beside a byte that is no UTF-8", () => {
  const text =
    "\u0080\u07ff\u0800\u0fff\u1000\ud7ff\ue000\ue800\uffff\u{10000}\u{3ffff}\u{40000}\u{fffff}\u{100000}\u{10ffff}";
  expect(stringValue(root(quoted(...Buffer.from(text), 0xff)))).toBe(`${text}\ufffd`);
});

test("a byte order mark inside a string is a character of it", () => {
  expect(stringValue(root('"\ufeffa"'))).toBe("\ufeffa");
  expect(stringValue(root('"\ufeffa long enough string"'))).toBe("\ufeffa long enough string");
});

test.each(["1", "null", "true", "[]", "{}", '["a"]'])("%s is not a string", (text) => {
  expect(stringValue(root(text))).toBeUndefined();
  expect(stringBytes(root(text))).toBeUndefined();
  expect(stringByteLength(root(text))).toBeUndefined();
  expect(writeStringBytes(root(text), new Uint8Array(8), 0)).toBeUndefined();
});

test("undefined is not a string", () => {
  expect(stringValue(undefined)).toBeUndefined();
  expect(stringBytes(undefined)).toBeUndefined();
  expect(stringByteLength(undefined)).toBeUndefined();
  expect(writeStringBytes(undefined, new Uint8Array(8), 0)).toBeUndefined();
});

test.each([
  "",
  "short",
  "exactly sixteen.",
  "a string of more than sixteen bytes",
  "\\n",
  "\\u00e9",
  "\\ud83d\\ude00 and \\ud83d",
  `${"x".repeat(100)}\\n${"y".repeat(70)}\\\\${"z".repeat(3)}`,
])("writing %j takes its exact length and leaves the rest as it is", (inner) => {
  const value = root(`"${inner}"`);
  const length = stringByteLength(value) ?? -1;
  const expected = Buffer.from(stringBytes(value) ?? []);
  expect(expected.length).toBe(length);

  const exact = Buffer.alloc(length + 5, ".");
  expect(writeStringBytes(value, exact.subarray(0, length + 3), 3)).toBe(length);
  expect(exact.toString("latin1")).toBe(`...${expected.toString("latin1")}..`);

  const roomy = Buffer.alloc(3 + inner.length + 2, ".");
  expect(writeStringBytes(value, roomy, 3)).toBe(length);
  expect(roomy.subarray(3, 3 + length)).toEqual(expected);
  expect(roomy.toString("latin1", 0, 3)).toBe("...");
  expect(roomy.toString("latin1", 3 + inner.length)).toBe("..");
});

test("a string that does not fit writes nothing", () => {
  for (const inner of ["four", "fo\\nr", "a string of more than sixteen bytes", `${"x".repeat(200)}\\n`]) {
    const value = root(`"${inner}"`);
    const target = Buffer.alloc((stringByteLength(value) ?? 0) + 1, ".");
    expect(writeStringBytes(value, target, 2)).toBeUndefined();
    expect(writeStringBytes(value, target, target.length + 10)).toBeUndefined();
    expect(target.every((byte) => byte === 0x2e)).toBe(true);
  }
});

test("a prompt of many strings is flattened back to back", () => {
  const value = root(JSON.stringify(["one", "two\n", "drei ü", "four \u{1f600}"]));
  const target = Buffer.alloc(64);
  let offset = 0;
  for (const text of ["one", "two\n", "drei ü", "four \u{1f600}"]) {
    const one = root(JSON.stringify(text));
    offset += writeStringBytes(one, target, offset) ?? 0;
  }
  expect(target.toString("utf8", 0, offset)).toBe("onetwo\ndrei üfour \u{1f600}");
  expect(value.kind).toBe("array");
});
