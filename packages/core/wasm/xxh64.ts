// biome-ignore-all lint/correctness/noPrecisionLoss: literals of AssemblyScript are 64-bit integers.
// AssemblyScript, not TypeScript: compiled by build.ts to src/xxh64/xxh64.gen.ts. XXH64 with seed 0.
// The caller owns the memory. Bytes 0 to 7 hold the hash that `finish` and `chain` leave behind and that `chain` starts
// from; the rest is laid out by the caller.

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;
const PRIME_4: u64 = 0x85ebca77c2b2ae63;
const PRIME_5: u64 = 0x27d4eb2f165667c5;

let lane1: u64 = 0;
let lane2: u64 = 0;
let lane3: u64 = 0;
let lane4: u64 = 0;
let totalBytes: u64 = 0;

function round(lane: u64, input: u64): u64 {
  return rotl<u64>(lane + input * PRIME_2, 31) * PRIME_1;
}

function mergeLane(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME_1 + PRIME_4;
}

function mergeLanes(a: u64, b: u64, c: u64, d: u64): u64 {
  let hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
  hash = mergeLane(hash, a);
  hash = mergeLane(hash, b);
  hash = mergeLane(hash, c);
  return mergeLane(hash, d);
}

/** Takes in the last 0 to 31 bytes and mixes. */
function finalize(seed: u64, from: usize, end: usize): u64 {
  let hash = seed;
  let at = from;
  for (; at + 8 <= end; at += 8) {
    hash = rotl<u64>(hash ^ round(0, load<u64>(at)), 27) * PRIME_1 + PRIME_4;
  }
  if (at + 4 <= end) {
    hash = rotl<u64>(hash ^ (u64(load<u32>(at)) * PRIME_1), 23) * PRIME_2 + PRIME_3;
    at += 4;
  }
  for (; at < end; at++) {
    hash = rotl<u64>(hash ^ (u64(load<u8>(at)) * PRIME_5), 11) * PRIME_1;
  }
  hash ^= hash >> 33;
  hash *= PRIME_2;
  hash ^= hash >> 29;
  hash *= PRIME_3;
  return hash ^ (hash >> 32);
}

/** Hash of `length` bytes at `input`. */
function hashOf(input: usize, length: usize): u64 {
  const end = input + length;
  let at = input;
  let hash: u64 = PRIME_5;
  if (length >= 32) {
    let a: u64 = PRIME_1 + PRIME_2;
    let b: u64 = PRIME_2;
    let c: u64 = 0;
    let d: u64 = 0 - PRIME_1;
    for (; at + 32 <= end; at += 32) {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
    }
    hash = mergeLanes(a, b, c, d);
  }
  return finalize(hash + u64(length), at, end);
}

/** Starts the hash of a sequence that is handed over in parts. */
export function reset(): void {
  lane1 = PRIME_1 + PRIME_2;
  lane2 = PRIME_2;
  lane3 = 0;
  lane4 = 0 - PRIME_1;
  totalBytes = 0;
}

/** Takes in the next part; `length` is a multiple of 32. */
export function update(input: usize, length: usize): void {
  const end = input + length;
  let a = lane1;
  let b = lane2;
  let c = lane3;
  let d = lane4;
  for (let at = input; at < end; at += 32) {
    a = round(a, load<u64>(at));
    b = round(b, load<u64>(at, 8));
    c = round(c, load<u64>(at, 16));
    d = round(d, load<u64>(at, 24));
  }
  lane1 = a;
  lane2 = b;
  lane3 = c;
  lane4 = d;
  totalBytes += u64(length);
}

/** Takes in the last part, of any length, and leaves the hash at address 0. */
export function finish(input: usize, length: usize): void {
  const whole = length & ~31;
  if (whole > 0) update(input, whole);
  const rest = length - whole;
  const hash = totalBytes >= 32 ? mergeLanes(lane1, lane2, lane3, lane4) : PRIME_5;
  totalBytes += u64(rest);
  store<u64>(0, finalize(hash + totalBytes, input + whole, input + length));
}

/**
 * Hashes blocks of `blockBytes`, the last one possibly shorter, each together with the hash before it:
 * `hash[i] = xxh64(LE64(xxh64(block[i])) ++ LE64(hash[i - 1]))`. Starts from the hash at address 0, leaves the last one
 * there and writes all of them from `output` on.
 */
export function chain(input: usize, length: usize, blockBytes: usize, output: usize): void {
  const end = input + length;
  let out = output;
  let previous = load<u64>(0);
  for (let at = input; at < end; at += blockBytes) {
    const size = min<usize>(blockBytes, end - at);
    let hash: u64 = PRIME_5 + 16;
    hash = rotl<u64>(hash ^ round(0, hashOf(at, size)), 27) * PRIME_1 + PRIME_4;
    hash = rotl<u64>(hash ^ round(0, previous), 27) * PRIME_1 + PRIME_4;
    hash ^= hash >> 33;
    hash *= PRIME_2;
    hash ^= hash >> 29;
    hash *= PRIME_3;
    previous = hash ^ (hash >> 32);
    store<u64>(out, previous);
    out += 8;
  }
  store<u64>(0, previous);
}
