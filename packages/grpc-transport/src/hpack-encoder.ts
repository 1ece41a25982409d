import { staticTable } from "./hpack-static-table.ts";

/** Sets the peer's dynamic table to size 0, which is all that blocks made here need. Source: RFC 7541 section 6.3. */
export const emptyTableUpdate = 0x20;

/**
 * Encodes a header list without use of the dynamic table, so that a block is the same on every connection and can be made
 * once. Names are lower case; values are sent as latin1. Source: RFC 7541 section 6.
 */
export function encodeHeaderBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const bytes: number[] = [];
  for (const [name, value] of fields) {
    let nameIndex = 0;
    let index = 0;
    for (let at = 0; at < staticTable.length && index === 0; at++) {
      const [knownName, knownValue] = staticTable[at]!;
      if (knownName !== name) continue;
      if (nameIndex === 0) nameIndex = at + 1;
      if (knownValue === value) index = at + 1;
    }
    if (index !== 0) {
      pushInteger(bytes, 0x80, 7, index);
      continue;
    }
    pushInteger(bytes, 0x00, 4, nameIndex);
    if (nameIndex === 0) pushString(bytes, name);
    pushString(bytes, value);
  }
  return Buffer.from(bytes);
}

function pushInteger(bytes: number[], pattern: number, bits: number, value: number): void {
  const most = (1 << bits) - 1;
  if (value < most) {
    bytes.push(pattern | value);
    return;
  }
  bytes.push(pattern | most);
  let left = value - most;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  bytes.push(left);
}

function pushString(bytes: number[], text: string): void {
  pushInteger(bytes, 0x00, 7, text.length);
  for (let at = 0; at < text.length; at++) bytes.push(text.charCodeAt(at) & 0xff);
}
