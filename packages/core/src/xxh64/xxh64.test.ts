import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { referenceXxh64 } from "../../test/xxh64-reference.ts";
import { PrefixHasher } from "./prefix-hasher.ts";
import { xxh64, xxh64Hex } from "./xxh64.ts";

// The type libraries in use do not declare it.
declare const WebAssembly: { readonly Module: new (binary: Uint8Array) => object; readonly Instance: unknown };

afterEach(() => {
  vi.unstubAllGlobals();
});

// Source: spec vectors/block-hashes.json, primitives.xxh64_seed0 and estimateBackend.
test.each([
  { text: "", hex: 17241709254077376921n.toString(16) },
  { text: "a", hex: 15154266338359012955n.toString(16) },
  { text: "42", hex: 7919287270473417401n.toString(16) },
  { text: "abc", hex: 4952883123889572249n.toString(16) },
  { text: "0123456789abcdef0123456789abcdef0123", hex: 14133803764727895137n.toString(16) },
  { text: "https://x/y.png", hex: "4a2ac44f136cda1d" },
])('"$text" hashes to $hex', ({ text, hex }) => {
  expect(xxh64Hex(xxh64(new TextEncoder().encode(text)))).toBe(hex);
});

// Computed with the BigInt implementation in test/xxh64-reference.ts.
test.each([
  { bytes: 65_535, hex: "f32228b1f69e0410" },
  { bytes: 65_536, hex: "d127a7818d57b4c8" },
  { bytes: 65_537, hex: "b13a02da18e04b5c" },
  { bytes: 131_072, hex: "cfebab741444537" },
  { bytes: 200_003, hex: "cac466301225ba2" },
])("content of $bytes bytes, hashed in several steps, hashes to $hex", ({ bytes, hex }) => {
  const content = Uint8Array.from({ length: bytes }, (_, i) => i * 7);
  expect(xxh64Hex(xxh64(content))).toBe(hex);
  expect(referenceXxh64(content).toString(16)).toBe(hex);
});

test("bytes are read where the array stands in its buffer, and halves and text say the same", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (buffer, skipped) => {
      const content = buffer.subarray(Math.min(skipped, buffer.length));
      const hash = xxh64(content);
      const expected = referenceXxh64(content);
      expect((BigInt(hash.high) << 32n) | BigInt(hash.low)).toBe(expected);
      expect(xxh64Hex(hash)).toBe(expected.toString(16));
    }),
  );
});

test.each([
  { low: 0, high: 0, hex: "0" },
  { low: 0xffff_ffff, high: 0, hex: "ffffffff" },
  { low: 0xa, high: 1, hex: "10000000a" },
  { low: 0, high: 0xf000_0000, hex: "f000000000000000" },
])("halves $high and $low are written as $hex", ({ low, high, hex }) => {
  expect(xxh64Hex({ low, high })).toBe(hex);
});

test("the module is compiled by the first hash and serves all others", async () => {
  let compiled = 0;
  class CountedModule extends WebAssembly.Module {
    constructor(binary: Uint8Array) {
      super(binary);
      compiled++;
    }
  }
  vi.stubGlobal("WebAssembly", { Module: CountedModule, Instance: WebAssembly.Instance });
  vi.resetModules();
  const fresh = await import("./index.ts");
  const hashers = [new fresh.PrefixHasher(), new fresh.PrefixHasher()];
  hashers[0]!.hash([{ tokenIds: new Uint32Array() }], "m", "", 1, 1);
  expect(compiled).toBe(0);

  const words = hashers.map((each) => each.hash([{ tokenIds: Uint32Array.of(1) }], "m", "", 1, 1).words);
  expect(fresh.xxh64Hex(fresh.xxh64(new Uint8Array()))).toBe("ef46db3751d8e999");
  expect(words[0]).toEqual(words[1]);
  expect(compiled).toBe(1);
});

test("hashes of bytes between two prompts leave the prompts' hashes as they are", () => {
  const hasher = new PrefixHasher();
  const hash = () => hasher.hash([{ tokenIds: Uint32Array.of(1, 2, 3, 4) }], "m", "", 2, 2).words;
  const before = hash();
  xxh64(new Uint8Array(100_000).fill(7));
  new PrefixHasher().hash([{ tokenIds: Uint32Array.of(9) }], "other", "salt", 2, 2);
  expect(hash()).toEqual(before);
});
