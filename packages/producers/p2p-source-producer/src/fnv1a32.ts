const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;

/** FNV-1a of a text's UTF-8 bytes: 0 to 2^32 - 1. Cost: O(length). */
export function fnv1a32(text: string): number {
  let hash = offsetBasis;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, prime);
  return hash >>> 0;
}
