import type { FuzzRandom } from "./fuzz-random.ts";

const edges = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Changes an input at a few places. The result has at most `maxBytes`. */
export function mutate(input: Uint8Array, other: Uint8Array, random: FuzzRandom, maxBytes: number): Buffer {
  let bytes: Buffer = Buffer.from(input);
  for (let changes = 1 + random.below(random.pick([1, 2, 4, 8])); changes > 0; changes--) {
    bytes = change(bytes, other, random);
  }
  return bytes.length > maxBytes ? bytes.subarray(0, maxBytes) : bytes;
}

function change(bytes: Buffer, other: Uint8Array, random: FuzzRandom): Buffer {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(Math.min(random.pick([1, 4, 16, 256]), bytes.length + 1));
  const from = random.below(bytes.length + 1);
  switch (random.below(9)) {
    case 0:
      if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.below(256);
      return bytes;
    case 2:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(length), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 4:
      // A part again, at another place.
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, from + length), bytes.subarray(at)]);
    case 5: {
      const start = random.below(other.length + 1);
      const part = other.subarray(start, start + 1 + random.below(other.length - start + 1));
      return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(random.oneIn(2) ? at : from)]);
    }
    case 6:
      return bytes.subarray(0, at);
    case 7: {
      const width = random.pick([1, 2, 4]);
      if (at + width > bytes.length) return bytes;
      const value = random.oneIn(2) ? random.pick(edges) : bytes.readUIntBE(at, width) + random.below(33) - 16;
      bytes.writeUIntBE(((value % 2 ** (8 * width)) + 2 ** (8 * width)) % 2 ** (8 * width), at, width);
      return bytes;
    }
    default: {
      const part = bytes.subarray(from, from + length);
      const copies = Array.from({ length: 1 + random.below(random.oneIn(16) ? 200 : 8) }, () => part);
      return Buffer.concat([bytes.subarray(0, at), ...copies, bytes.subarray(at)]);
    }
  }
}
