import fc from "fast-check";
import { expect, test } from "vitest";
import { elements, get, type JsonValue, keepValue, members, rawBytes, scanJson, spliceValue } from "./index.ts";

function root(bytes: Uint8Array): JsonValue {
  const scanned = scanJson(bytes);
  if (!scanned.ok) throw new Error(scanned.message);
  return scanned.root;
}

/** A value and all values inside it. */
function valuesIn(value: JsonValue): JsonValue[] {
  const found = [value];
  for (const cursor of [elements(value), members(value)]) {
    while (cursor.next()) found.push(...valuesIn(keepValue(cursor)));
  }
  return found;
}

test("the raw bytes of a value are its text, as a view", () => {
  const bytes = Buffer.from('{"a" : [ 1, "x\\n" ] ,"b":-1.50e+1}');
  const raw = (key: string) => {
    const value = get(root(bytes), key);
    return value === undefined ? undefined : rawBytes(value);
  };
  expect(Buffer.from(raw("a") ?? []).toString()).toBe('[ 1, "x\\n" ]');
  expect(Buffer.from(raw("b") ?? []).toString()).toBe("-1.50e+1");
  expect(raw("a")?.buffer).toBe(bytes.buffer);
});

test("replacing the model leaves every other byte as it is and copies none", () => {
  const bytes = Buffer.from('\n{"x":"\\u00e9", "model" : "old" , "y":1.0}\n');
  const model = get(root(bytes), "model");
  const parts = model === undefined ? [] : spliceValue(model, Buffer.from('"new-model"'));
  expect(Buffer.concat(parts).toString()).toBe('\n{"x":"\\u00e9", "model" : "new-model" , "y":1.0}\n');
  expect(parts.map((part) => part.buffer === bytes.buffer)).toEqual([true, expect.any(Boolean), true]);
  expect([parts[0]?.byteOffset, parts[2]?.byteOffset]).toEqual([bytes.byteOffset, bytes.byteOffset + 31]);
});

test("empty parts are left out", () => {
  const value = root(Buffer.from("1"));
  expect(spliceValue(value, Buffer.from("[2]"))).toEqual([Buffer.from("[2]")]);
  expect(spliceValue(value, new Uint8Array(0))).toEqual([]);
});

test("any value can be replaced: the text is the old one but for that value", () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.constantFrom("null", '"r"', "[1,{}]"), (text, choice, replacement) => {
      const bytes = Buffer.from(text);
      const values = valuesIn(root(bytes));
      const value = values[choice % values.length] ?? root(bytes);
      const spliced = Buffer.concat(spliceValue(value, Buffer.from(replacement)));
      const before = bytes.subarray(0, value.start);
      const after = bytes.subarray(value.end);
      expect(spliced).toEqual(Buffer.concat([before, Buffer.from(replacement), after]));
      expect(scanJson(spliced).ok).toBe(true);
    }),
  );
});
