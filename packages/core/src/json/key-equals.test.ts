import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { get } from "./get.ts";
import { members } from "./json-cursor.ts";
import { keyEquals } from "./key-equals.ts";
import { scanJson } from "./scan-json.ts";

function equals(text: string, key: string, after = ""): boolean {
  const bytes = Buffer.from(`"${text}${after}`);
  return keyEquals(bytes, 1, Buffer.byteLength(text) + 1, key);
}

/** The unit as it stands, or as one of the escapes it may be written with. */
function spelling(unit: string, choice: number): string {
  const hex = unit.charCodeAt(0).toString(16).padStart(4, "0");
  if (choice === 0) return `\\u${hex}`;
  if (choice === 1) return `\\u${hex.toUpperCase()}`;
  if (choice === 2 && unit === "/") return "\\/";
  return JSON.stringify(unit).slice(1, -1);
}

test("a key in any spelling is the key JSON.parse gives, and no other", () => {
  const key = fc.oneof(
    fc.constantFrom("model", 'a"b\\c/', "\b\f\n\r\t", "", "é", "aé", "日本", "\ufffd"),
    fc.string({ maxLength: 6 }),
  );
  const choices = fc.array(fc.nat(5), { minLength: 1, maxLength: 8 });
  const change = fc.option(fc.record({ at: fc.nat(60), text: fc.constantFrom("", "x", "0", "\\n", "\\u006d") }));
  fc.assert(
    fc.property(key, choices, change, (wanted, spellings, changed) => {
      let text = wanted
        .split("")
        .map((unit, i) => spelling(unit, spellings[i % spellings.length] ?? 5))
        .join("");
      if (changed !== null) text = text.slice(0, changed.at) + changed.text + text.slice(changed.at + 1);
      let parsed: unknown;
      try {
        parsed = JSON.parse(`"${text}"`);
      } catch {
        return;
      }
      expect(equals(text, wanted)).toBe(parsed === wanted);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ["mode\\", 'l"'],
  ["mode\\u00", '6c"'],
  ["mode\\u006", 'c"'],
  ["mode\\u006z", ""],
  ["mode\\l", ""],
  ["\\x006dodel", ""],
])("a text with a bad escape, or one that is cut off, is not the key: %s", (text, after) => {
  expect(equals(text, "model", after)).toBe(false);
});

test("looking a key up decodes no key", () => {
  const keys = Array.from({ length: 1000 }, (_, i) => `"\\u006dode${i}":0,"mode\\u006c${i}":0`).join(",");
  const scanned = scanJson(Buffer.from(`{${keys},"inner":{${keys},"mo\\u0064el":2},"mo\\u0064el":1}`));
  if (!scanned.ok) throw new Error(scanned.message);
  const parse = vi.spyOn(JSON, "parse");
  const decode = vi.spyOn(TextDecoder.prototype, "decode");
  const root = get(scanned.root, "model");
  const inner = get(get(scanned.root, "inner"), "model");
  const missing = get(scanned.root, "models");
  const walk = members(scanned.root);
  let found = 0;
  while (walk.next()) if (walk.keyIs("model")) found++;
  const calls = parse.mock.calls.length + decode.mock.calls.length;
  parse.mockRestore();
  decode.mockRestore();
  expect([root?.kind, inner?.kind, missing, found, calls]).toEqual(["number", "number", undefined, 1, 0]);
});
