import { expect, test } from "vitest";
import { ContentHasher } from "./content-hasher.ts";

const hasher = new ContentHasher();
const hash = (text: string): string => hasher.hash(new TextEncoder().encode(text)).hex;

// Source: spec vectors/block-hashes.json, primitives.xxh64_seed0 and estimateBackend.
test.each([
  { text: "", hex: 17241709254077376921n.toString(16) },
  { text: "a", hex: 15154266338359012955n.toString(16) },
  { text: "42", hex: 7919287270473417401n.toString(16) },
  { text: "abc", hex: 4952883123889572249n.toString(16) },
  { text: "0123456789abcdef0123456789abcdef0123", hex: 14133803764727895137n.toString(16) },
  { text: "https://x/y.png", hex: "4a2ac44f136cda1d" },
])('"$text" hashes to $hex', ({ text, hex }) => {
  expect(hash(text)).toBe(hex);
});

// Computed with the BigInt implementation in approx-prefix-cache-producer/test/xxh64-reference.ts.
test.each([
  { bytes: 65_535, hex: "f32228b1f69e0410" },
  { bytes: 65_536, hex: "d127a7818d57b4c8" },
  { bytes: 65_537, hex: "b13a02da18e04b5c" },
  { bytes: 131_072, hex: "cfebab741444537" },
  { bytes: 200_003, hex: "cac466301225ba2" },
])("content of $bytes bytes, hashed in several steps, hashes to $hex", ({ bytes, hex }) => {
  expect(hasher.hash(Uint8Array.from({ length: bytes }, (_, i) => i * 7)).hex).toBe(hex);
});

test("a hash has no leading zeros and its low half is a number of its own", () => {
  for (let i = 0; i < 5000; i++) {
    const { hex, low } = hasher.hash(Uint8Array.of(i & 0xff, i >> 8));
    expect(BigInt(`0x${hex}`) & 0xffff_ffffn).toBe(BigInt(low));
    expect(hex).toBe(BigInt(`0x${hex}`).toString(16));
  }
});
