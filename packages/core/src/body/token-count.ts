import { type JsonValue, numberValue, stringValue } from "../json/index.ts";

/** Longest text that is read as a number. Bytes. */
const longestNumber = 32;

/**
 * Reads a count of tokens as answers report it: a number, in a string too; a fraction is cut off.
 * Missing values: undefined for anything else, and for what is negative or beyond exact integers.
 */
export function tokenCount(value: JsonValue | undefined): number | undefined {
  let count = numberValue(value);
  if (value?.kind === "string" && value.end - value.start - 2 <= longestNumber) {
    const text = stringValue(value)!.trim();
    if (text !== "") count = Number(text);
  }
  if (count === undefined || !(count >= 0) || count > Number.MAX_SAFE_INTEGER) return undefined;
  return Math.floor(count);
}
