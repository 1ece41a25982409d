import fc from "fast-check";
import { expect, test } from "vitest";
import { referenceChain } from "../../test/xxh64-reference.ts";
import { maxRequestBlocks, PrefixHasher, type PromptHashes } from "./prefix-hasher.ts";

const hasher = new PrefixHasher();
const prompt = (...tokens: readonly number[]) => ({ tokenIds: Uint32Array.from(tokens) });
const unlimited = Number.POSITIVE_INFINITY;

/** Hashes as numbers, one list for each prompt. */
function perPrompt({ words, ends }: PromptHashes): bigint[][] {
  const all = Array.from(new BigUint64Array(words.slice().buffer));
  return ends.map((end, i) => all.slice(ends[i - 1] ?? 0, end));
}

// Source: spec scheduling-plugins F1, test vectors.
test.each([
  { name: "two whole blocks", salt: "", tokens: [1, 2, 3, 4], expected: [0xbdeada2071943583n, 0x7aacfb531261b051n] },
  { name: "a salt", salt: "salt", tokens: [1, 2, 3, 4], expected: [0x6b0e68c54f9ceac3n, 0xf1433d4ff41f4429n] },
  { name: "a partial block", salt: "", tokens: [1, 2, 3], expected: [0xbdeada2071943583n, 0xd3db268f6075ef28n] },
])("$name: hashes are the published ones", ({ salt, tokens, expected }) => {
  expect(perPrompt(hasher.hash([prompt(...tokens)], "m", salt, 2, unlimited))).toEqual([expected]);
});

test("prompts of a request hash each on its own", () => {
  const hashes = hasher.hash([prompt(1, 2, 3, 4), prompt(), prompt(1, 2, 3)], "m", "", 2, unlimited);
  expect(hashes.ends).toEqual([2, 2, 4]);
  const [first, empty, second] = perPrompt(hashes);
  expect(empty).toEqual([]);
  expect(second![0]).toBe(first![0]);
  expect(second![1]).not.toBe(first![1]);
});

test("no tokens give no hashes", () => {
  const hashes = hasher.hash([], "m", "", 64, unlimited);
  expect([hashes.words.length, hashes.ends]).toEqual([0, []]);
});

test("a limit of blocks holds for each prompt", () => {
  const full = perPrompt(hasher.hash([prompt(1, 2, 3, 4, 5)], "m", "", 2, unlimited))[0]!;
  const hashes = hasher.hash([prompt(1, 2, 3, 4, 5), prompt(1, 2, 3, 4, 5)], "m", "", 2, 2);
  expect(perPrompt(hashes)).toEqual([full.slice(0, 2), full.slice(0, 2)]);
  expect(hasher.hash([prompt(1, 2, 3)], "m", "", 2, 0).ends).toEqual([0]);
});

test("a request is hashed up to its limit of blocks", () => {
  const many = { tokenIds: new Uint32Array(maxRequestBlocks - 1) };
  const hashes = hasher.hash([many, prompt(7, 8, 9), prompt(7)], "m", "", 1, unlimited);
  expect(hashes.ends).toEqual([maxRequestBlocks - 1, maxRequestBlocks, maxRequestBlocks]);
  expect(perPrompt(hashes)[1]).toEqual(referenceChain(Uint32Array.of(7), "m", "", 1, 1));
});

test("tokens are read where the array stands in its buffer", () => {
  const buffer = Uint32Array.of(99, 99, 1, 2, 3, 4, 99);
  const part = { tokenIds: buffer.subarray(2, 6) };
  expect(hasher.hash([part], "m", "", 2, unlimited).words).toEqual(
    hasher.hash([prompt(1, 2, 3, 4)], "m", "", 2, unlimited).words,
  );
});

test("prompts, models and salts of any length hash as in the reference", () => {
  const text = fc.oneof(fc.string(), fc.constantFrom("é".repeat(40_000), "x".repeat(65_536), "y".repeat(70_001)));
  fc.assert(
    fc.property(
      fc.array(fc.uint32Array({ maxLength: 40 }), { maxLength: 3 }),
      text,
      text,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 20 }),
      (prompts, model, salt, blockSizeTokens, maxBlocks) => {
        const hashes = hasher.hash(
          prompts.map((tokenIds) => ({ tokenIds })),
          model,
          salt,
          blockSizeTokens,
          maxBlocks,
        );
        expect(perPrompt(hashes)).toEqual(
          prompts.map((tokenIds) => referenceChain(tokenIds, model, salt, blockSizeTokens, maxBlocks)),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test.each([
  { tokens: 16_384, blockSizeTokens: 64 },
  { tokens: 16_385, blockSizeTokens: 64 },
  { tokens: 40_001, blockSizeTokens: 100 },
  { tokens: 40_001, blockSizeTokens: 16_385 },
  { tokens: 70_000, blockSizeTokens: 65_536 },
])("$tokens tokens in blocks of $blockSizeTokens, hashed in several steps, hash as in the reference", (options) => {
  const { tokens, blockSizeTokens } = options;
  const tokenIds = Uint32Array.from({ length: tokens }, (_, i) => Math.imul(i, 2_654_435_761));
  expect(perPrompt(hasher.hash([{ tokenIds }], "m", "", blockSizeTokens, unlimited))[0]).toEqual(
    referenceChain(tokenIds, "m", "", blockSizeTokens, unlimited),
  );
});
