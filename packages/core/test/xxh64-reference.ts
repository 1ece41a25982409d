const mask = 0xffff_ffff_ffff_ffffn;
const prime1 = 0x9e3779b185ebca87n;
const prime2 = 0xc2b2ae3d27d4eb4fn;
const prime3 = 0x165667b19e3779f9n;
const prime4 = 0x85ebca77c2b2ae63n;
const prime5 = 0x27d4eb2f165667c5n;

const times = (a: bigint, b: bigint): bigint => (a * b) & mask;
const plus = (a: bigint, b: bigint): bigint => (a + b) & mask;
const rotate = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (64n - bits))) & mask;
const round = (lane: bigint, input: bigint): bigint => times(rotate(plus(lane, times(input, prime2)), 31n), prime1);

/** XXH64 with seed 0, written for reading: what the WebAssembly module is compared with. */
export function referenceXxh64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let hash = prime5;
  if (bytes.length >= 32) {
    const lanes = [plus(prime1, prime2), prime2, 0n, (mask + 1n - prime1) & mask];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i]!, view.getBigUint64(at + i * 8, true));
    }
    const turns = [1n, 7n, 12n, 18n];
    hash = lanes.reduce((sum, lane, i) => plus(sum, rotate(lane, turns[i]!)), 0n);
    for (const lane of lanes) hash = plus(times(hash ^ round(0n, lane), prime1), prime4);
  }
  hash = plus(hash, BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) {
    hash = plus(times(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n), prime1), prime4);
  }
  if (at + 4 <= bytes.length) {
    hash = plus(times(rotate(hash ^ times(BigInt(view.getUint32(at, true)), prime1), 23n), prime2), prime3);
    at += 4;
  }
  for (; at < bytes.length; at++) {
    hash = times(rotate(hash ^ times(BigInt(bytes[at]!), prime5), 11n), prime1);
  }
  hash = times(hash ^ (hash >> 33n), prime2);
  hash = times(hash ^ (hash >> 29n), prime3);
  return hash ^ (hash >> 32n);
}

/** Chained hashes of one prompt's blocks, by the rule of spec scheduling-plugins F1. */
export function referenceChain(
  tokenIds: Uint32Array,
  model: string,
  salt: string,
  blockSizeTokens: number,
  maxBlocks: number,
): bigint[] {
  const hashes: bigint[] = [];
  let previous = referenceXxh64(new TextEncoder().encode(model + salt));
  for (let at = 0; at < tokenIds.length && hashes.length < maxBlocks; at += blockSizeTokens) {
    const tokens = tokenIds.slice(at, at + blockSizeTokens);
    const pair = new DataView(new ArrayBuffer(16));
    pair.setBigUint64(0, referenceXxh64(new Uint8Array(tokens.buffer)), true);
    pair.setBigUint64(8, previous, true);
    previous = referenceXxh64(new Uint8Array(pair.buffer));
    hashes.push(previous);
  }
  return hashes;
}
