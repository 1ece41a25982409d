import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { referenceXxh64 } from "../../test/xxh64-reference.ts";
import { compileWasm, generatedFile } from "../../wasm/compile-wasm.ts";
import { instantiateXxh64 } from "./xxh64.gen.ts";

const module = instantiateXxh64();
const memory = new Uint8Array(module.memory.buffer);
const inputAt = 64;

/** Hashes bytes in one part. */
function hash(bytes: Uint8Array): bigint {
  memory.set(bytes, inputAt);
  module.reset();
  module.finish(inputAt, bytes.length);
  return new DataView(module.memory.buffer).getBigUint64(0, true);
}

// Source: spec vectors/block-hashes.json, primitives.xxh64_seed0.
test.each([
  { text: "", expected: 17241709254077376921n },
  { text: "a", expected: 15154266338359012955n },
  { text: "42", expected: 7919287270473417401n },
  { text: "abc", expected: 4952883123889572249n },
  { text: "0123456789abcdef0123456789abcdef0123", expected: 14133803764727895137n },
])('"$text" hashes to $expected', ({ text, expected }) => {
  const bytes = new TextEncoder().encode(text);
  expect(hash(bytes)).toBe(expected);
  expect(referenceXxh64(bytes)).toBe(expected);
});

test("any bytes hash as in the reference, whole or in parts", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.integer({ min: 1, max: 4 })), (bytes, cuts) => {
      const expected = referenceXxh64(bytes);
      expect(hash(bytes)).toBe(expected);

      memory.set(bytes, inputAt);
      module.reset();
      let at = 0;
      for (const cut of cuts) {
        if (at + cut * 32 > bytes.length) break;
        module.update(inputAt + at, cut * 32);
        at += cut * 32;
      }
      module.finish(inputAt + at, bytes.length - at);
      expect(new DataView(module.memory.buffer).getBigUint64(0, true)).toBe(expected);
    }),
  );
});

test("the generated file is what the source compiles to", async () => {
  const text = await compileWasm();
  expect(readFileSync(generatedFile, "utf8") === text).toBe(true);
});
