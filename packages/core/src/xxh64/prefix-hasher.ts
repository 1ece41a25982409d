import { zeroedUint32 } from "../zeroed.ts";
import { xxh64 } from "./xxh64.ts";
import { inputAt, stepBytes, type Xxh64Instance, xxh64Instance } from "./xxh64-instance.ts";

/** The hashes of a request's prompts: one for each block, chained from the start of its prompt. */
export interface PromptHashes {
  /** Low and high half of each hash, prompt after prompt. */
  readonly words: Uint32Array;
  /** Where each prompt ends, in blocks counted over all prompts; a prompt without blocks ends where it starts. */
  readonly ends: readonly number[];
  readonly blockSizeTokens: number;
}

/** Largest block that can be hashed, tokens. */
export const maxBlockSizeTokens = 65_536;

/** Blocks hashed in one call, all prompts together: 4 million tokens of 64-token blocks. Blocks beyond have no hash. */
export const maxRequestBlocks = 65_536;

// Where the module writes a step's hashes: behind the largest input.
const outputAt = inputAt + maxBlockSizeTokens * 4;

/**
 * Hashes prompts block by block. `hash[i]` covers everything from the model name and the salt to the end of block `i`.
 *
 * `hash[0] = xxh64(model ++ salt)`, `hash[i] = xxh64(LE64(xxh64(tokens of block i)) ++ LE64(hash[i - 1]))`; tokens count
 * as little-endian 32-bit words. Source: spec scheduling-plugins F1 with its vectors.
 */
export class PrefixHasher {
  readonly #encoder = new TextEncoder();
  /** The last model and salt with their hash. */
  #rootModel: string | undefined;
  #rootSalt = "";
  #rootLow = 0;
  #rootHigh = 0;

  /**
   * Hashes each prompt on its own, at most `maxBlocks` blocks of it and 65,536 of all; the last block of a prompt may be
   * partial.
   *
   * `blockSizeTokens` is 1 to {@link maxBlockSizeTokens}. Never throws. Cost: one copy of the tokens into the module's
   * memory, 8 bytes per block returned.
   */
  hash(
    prompts: readonly { readonly tokenIds: Uint32Array }[],
    model: string,
    salt: string,
    blockSizeTokens: number,
    maxBlocks: number,
  ): PromptHashes {
    const ends: number[] = [];
    let blocks = 0;
    for (let i = 0; i < prompts.length; i++) {
      const own = Math.min(Math.ceil(prompts[i]!.tokenIds.length / blockSizeTokens), maxBlocks);
      blocks = Math.min(blocks + own, maxRequestBlocks);
      ends.push(blocks);
    }
    const words = zeroedUint32(blocks * 2);
    if (blocks === 0) return { words, ends, blockSizeTokens };

    this.#setRoot(model, salt);
    const instance = xxh64Instance();
    let start = 0;
    for (let i = 0; i < prompts.length; i++) {
      const end = ends[i]!;
      instance.words[0] = this.#rootLow;
      instance.words[1] = this.#rootHigh;
      chain(instance, prompts[i]!.tokenIds, blockSizeTokens, words, start, end);
      start = end;
    }
    return { words, ends, blockSizeTokens };
  }

  #setRoot(model: string, salt: string): void {
    if (model === this.#rootModel && salt === this.#rootSalt) return;
    const { low, high } = xxh64(this.#encoder.encode(model + salt));
    this.#rootModel = model;
    this.#rootSalt = salt;
    this.#rootLow = low;
    this.#rootHigh = high;
  }
}

/** Continues from the hash at address 0 and writes the hashes of blocks `start` to `end`. */
function chain(
  { module, bytes, words }: Xxh64Instance,
  tokenIds: Uint32Array,
  blockSizeTokens: number,
  out: Uint32Array,
  start: number,
  end: number,
): void {
  const blockBytes = blockSizeTokens * 4;
  const stepBlocks = Math.max(1, Math.floor(stepBytes / blockBytes));
  const input = new Uint8Array(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength);
  for (let block = start; block < end; block += stepBlocks) {
    const blocks = Math.min(stepBlocks, end - block);
    const from = (block - start) * blockBytes;
    const to = Math.min(from + blocks * blockBytes, input.length);
    bytes.set(input.subarray(from, to), inputAt);
    module.chain(inputAt, to - from, blockBytes, outputAt);
    out.set(words.subarray(outputAt >> 2, (outputAt >> 2) + blocks * 2), block * 2);
  }
}
