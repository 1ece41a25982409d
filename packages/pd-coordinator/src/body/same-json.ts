import {
  elements,
  get,
  hasDuplicateKeys,
  type JsonValue,
  members,
  numberValue,
  rawBytes,
  stringValue,
} from "@pointsman/core/json";

/**
 * Tells whether two JSON texts mean the same: white space, escapes and the order of members do not count. Numbers that
 * are written in different ways are the same when both are exact as float64. Objects that repeat a key are the same only
 * when their texts are.
 */
export function sameJson(a: JsonValue, b: JsonValue): boolean {
  if (Buffer.compare(rawBytes(a), rawBytes(b)) === 0) return true;
  if (a.kind !== b.kind) return false;
  switch (a.kind) {
    case "string":
      return stringValue(a) === stringValue(b);
    case "number":
      return sameNumber(numberValue(a)!, numberValue(b)!);
    case "array":
      return sameElements(a, b);
    case "object":
      return sameMembers(a, b);
    default:
      return true;
  }
}

function sameNumber(a: number, b: number): boolean {
  return a === b && Math.abs(a) <= Number.MAX_SAFE_INTEGER;
}

function sameElements(a: JsonValue, b: JsonValue): boolean {
  const others = elements(b);
  const own = elements(a);
  while (own.next()) if (!others.next() || !sameJson(own, others)) return false;
  return !others.next();
}

function sameMembers(a: JsonValue, b: JsonValue): boolean {
  if (hasDuplicateKeys(a) !== false || hasDuplicateKeys(b) !== false) return false;
  let count = 0;
  const own = members(a);
  while (own.next()) {
    const other = get(b, own.key() ?? "");
    if (other === undefined || !sameJson(own, other)) return false;
    count++;
  }
  const others = members(b);
  while (others.next()) count--;
  return count === 0;
}
