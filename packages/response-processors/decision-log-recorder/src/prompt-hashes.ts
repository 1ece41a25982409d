import type { PromptTokens } from "@pointsman/core";
import { PrefixHasher, xxh64 } from "@pointsman/core/xxh64";

/** Most hashes of one request: a line stays below a megabyte. */
export const maxHashes = 32_768;

/** The prompt of a request without its text. */
export interface PromptHashes {
  readonly promptTokens: number;
  /** One number below 2^52 for each started block. Equal numbers mean equal tokens up to there. */
  readonly ids: readonly number[];
}

const utf8 = new TextEncoder();

/** Hashes prompts block by block, each block together with all before it. */
export class PromptHashing {
  readonly #hasher = new PrefixHasher();
  readonly #blockTokens: number;
  readonly #salt: string;

  constructor(blockTokens: number, salt: string) {
    this.#blockTokens = blockTokens;
    this.#salt = salt;
  }

  /**
   * Hashes all prompts of a request, one after another, as one. Media count with their content. `undefined` when there
   * are more than {@link maxHashes} blocks.
   */
  hash(prompts: readonly PromptTokens[], model: string, cacheSalt: string | undefined): PromptHashes | undefined {
    const tokenIds = joined(prompts);
    if (tokenIds.length > maxHashes * this.#blockTokens) return undefined;
    const salt = `\n${this.#salt}\n${cacheSalt ?? ""}`;
    const { words } = this.#hasher.hash([{ tokenIds }], model, salt, this.#blockTokens, maxHashes);
    const ids = Array.from({ length: words.length / 2 }, (_, i) => numberOf(words[2 * i]!, words[2 * i + 1]!));
    return { promptTokens: tokenIds.length, ids };
  }

  /** Stands for a session without telling it. */
  sessionOf(sessionId: string): string {
    const { low, high } = xxh64(utf8.encode(`${this.#salt}\n${sessionId}`));
    return numberOf(low, high).toString(36);
  }
}

/** A hash as a number that JSON keeps: 52 of its bits. */
function numberOf(low: number, high: number): number {
  return (high >>> 12) * 2 ** 32 + low;
}

/** The tokens of all prompts. Those that stand for media differ where the media do. */
function joined(prompts: readonly PromptTokens[]): Uint32Array {
  const [only] = prompts;
  if (only !== undefined && prompts.length === 1 && only.features.length === 0) return only.tokenIds;
  const all = new Uint32Array(prompts.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0));
  let start = 0;
  for (const { tokenIds, features } of prompts) {
    all.set(tokenIds, start);
    for (const { hash, offsetTokens, lengthTokens } of features) {
      const { low } = xxh64(utf8.encode(hash));
      all.fill(low, start + offsetTokens, start + Math.min(offsetTokens + lengthTokens, tokenIds.length));
    }
    start += tokenIds.length;
  }
  return all;
}
