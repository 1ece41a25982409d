import { hashText, mix32 } from "../random-stream.ts";

/**
 * Turns a sequence of token ids into block keys. The key of a block stands for all tokens from the start of the
 * sequence to the end of the block, and for the salt: equal keys mean equal prefixes. A key is an integer in
 * 1..2^53-1; two different prefixes collide with a chance of about 2^-53.
 */
export class BlockHasher {
  readonly #blockTokens: number;
  #low: number;
  #high: number;
  #filled = 0;

  /** `salt` separates sequences that must not share blocks, e.g. those of two adapters. */
  constructor(blockTokens: number, salt: string) {
    this.#blockTokens = blockTokens;
    this.#low = hashText(salt, 0x243f6a88);
    this.#high = hashText(salt, 0x13198a2e);
  }

  /** Adds a token; returns the key of the block it completes, if it completes one. */
  add(tokenId: number): number | undefined {
    this.#low = mix32(Math.imul(this.#low, 31) ^ tokenId);
    this.#high = mix32(Math.imul(this.#high, 37) + tokenId);
    this.#filled += 1;
    if (this.#filled < this.#blockTokens) return undefined;
    this.#filled = 0;
    return (this.#high >>> 11) * 0x1_0000_0000 + this.#low || 1;
  }

  /** A 32-bit digest of everything added so far. */
  digest(): number {
    return mix32(this.#low ^ Math.imul(this.#high, 3));
  }
}

/** Adds all tokens and returns the keys of the full blocks, in order. */
export function hashPrompt(hasher: BlockHasher, tokenIds: Uint32Array, blockTokens: number): Float64Array {
  const keys = new Float64Array(Math.floor(tokenIds.length / blockTokens));
  let filled = 0;
  for (const tokenId of tokenIds) {
    const key = hasher.add(tokenId);
    if (key !== undefined) {
      keys[filled] = key;
      filled += 1;
    }
  }
  return keys;
}
