import { elements, keepValue, scanJson } from "@pointsman/core/json";
import fc from "fast-check";
import { expect, test } from "vitest";
import { spliceValues } from "./splice-values.ts";

test("the values that are replaced are, and every other byte stays", () => {
  const blank = fc.constantFrom("", " ", "\n\t");
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.jsonValue(), blank, fc.boolean()), { minLength: 1 }), (items) => {
      const texts = items.map(([value]) => JSON.stringify(value));
      const layout = (parts: readonly string[]): string =>
        `[${parts.map((text, i) => `${items[i]![1]}${text}`).join(",")} ]`;
      const document = scanJson(Buffer.from(layout(texts)));
      if (!document.ok) throw new Error(document.message);
      const edits = [];
      const cursor = elements(document.root);
      for (let i = 0; cursor.next(); i++) {
        if (items[i]![2]) edits.push({ value: keepValue(cursor), text: [Buffer.from(`"new${i}"`)] });
      }
      const expected = layout(texts.map((text, i) => (items[i]![2] ? `"new${i}"` : text)));
      expect(Buffer.concat(spliceValues(document.root, edits)).toString()).toBe(expected);
    }),
  );
});
