/**
 * Bits of each byte's code, and of EOS last. The code is canonical: within a length codes rise with the byte value, so the
 * lengths say it all. Source: RFC 7541 appendix B.
 */
// biome-ignore format: a table, sixteen a row
export const codeBits: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const endOfString = 256;
const emits = 0x100;
const fails = 0x200;

/** For state `s` and the next four bits `n`, entry `s * 16 + n`: next state << 16 | flags | byte to emit. */
const steps: Uint32Array = new Uint32Array(256 * 16);
/** States in which a string may end: the start, and after up to seven one bits of padding. */
const mayEnd: Uint8Array = new Uint8Array(256);

buildSteps();

function buildSteps(): void {
  // A node is two children; a child is the number of a node, or ~symbol.
  const children: [number, number][] = [[0, 0]];
  let code = 0;
  let bits = 0;
  const symbols = codeBits.map((_, symbol) => symbol).sort((a, b) => codeBits[a]! - codeBits[b]! || a - b);
  for (const symbol of symbols) {
    const wanted = codeBits[symbol]!;
    code <<= wanted - bits;
    bits = wanted;
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const pair = children[node]!;
      const side = (code >>> bit) & 1;
      if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
      node = pair[side]!;
    }
    children[node]![code & 1] = ~symbol;
    code++;
  }
  for (let state = 0; state < children.length; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let flags = 0;
      let emitted = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const child = children[node]![(nibble >>> bit) & 1]!;
        if (child >= 0) {
          node = child;
          continue;
        }
        if (~child === endOfString) flags |= fails;
        else {
          flags |= emits;
          emitted = ~child;
        }
        node = 0;
      }
      steps[state * 16 + nibble] = (node << 16) | flags | (emitted & 0xff);
    }
  }
  let node = 0;
  for (let ones = 0; ones < 8; ones++) {
    mayEnd[node] = 1;
    node = children[node]![1];
  }
}

/**
 * Decodes `bytes[start..end)` into `out` from its start and gives the number of bytes written; -1 when the code is invalid,
 * contains the end-of-string symbol or is not padded as demanded. `out` holds at least 8/5 of the input.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let state = 0;
  let written = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    let step = steps[state * 16 + (byte >>> 4)]!;
    if ((step & 0x300) !== 0) {
      if ((step & fails) !== 0) return -1;
      out[written++] = step;
    }
    step = steps[(step >>> 16) * 16 + (byte & 15)]!;
    if ((step & 0x300) !== 0) {
      if ((step & fails) !== 0) return -1;
      out[written++] = step;
    }
    state = step >>> 16;
  }
  return mayEnd[state] === 1 ? written : -1;
}
