import { get, type JsonValue, numberValue } from "../json/index.ts";

/**
 * Reads the first of several fields of an object that holds a whole number from 0 on: how requests bound an answer.
 * Missing values: undefined when none does. A field of another kind, negative, or with a fraction is passed over.
 */
export function firstLimit(value: JsonValue | undefined, keys: readonly string[]): number | undefined {
  for (const key of keys) {
    const count = numberValue(get(value, key));
    // The sum turns -0 into 0.
    if (count !== undefined && Number.isSafeInteger(count) && count >= 0) return count + 0;
  }
  return undefined;
}
