/**
 * Whether two values are made of the same parts. Functions and regular expressions count as the same when their texts
 * are; other objects are compared by prototype and own properties.
 */
export function sameValue(a: unknown, b: unknown, depth: number = 0): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a === "function" && typeof b === "function") return String(a) === String(b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || depth > 100) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof RegExp || a instanceof Date) return String(a) === String(b);
  if (a instanceof Map && b instanceof Map) return sameValue([...a], [...b], depth + 1);
  if (a instanceof Set && b instanceof Set) return sameValue([...a], [...b], depth + 1);
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => {
    if (!Object.hasOwn(b, key)) return false;
    // Own keys of both objects.
    return sameValue((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], depth + 1);
  });
}
