import { instantiateXxh64, type Xxh64Module } from "./xxh64.gen.ts";

/** XXH64 of some content. */
export interface ContentHash {
  /** Its low 32 bits. */
  readonly low: number;
  /** All of it in lower-case hexadecimal, without leading zeros. */
  readonly hex: string;
}

// Layout of the module's memory, bytes.
const inputAt = 64;
const stepBytes = 65_536;

/** Hashes content of any length with XXH64, seed 0. */
export class ContentHasher {
  readonly #module: Xxh64Module = instantiateXxh64();
  readonly #bytes: Uint8Array = new Uint8Array(this.#module.memory.buffer);
  readonly #words: Uint32Array = new Uint32Array(this.#module.memory.buffer);

  /** Cost: one copy into the module's memory, step by step. */
  hash(content: Uint8Array): ContentHash {
    let at = 0;
    this.#module.reset();
    for (; at + stepBytes < content.length; at += stepBytes) {
      this.#bytes.set(content.subarray(at, at + stepBytes), inputAt);
      this.#module.update(inputAt, stepBytes);
    }
    this.#bytes.set(content.subarray(at), inputAt);
    this.#module.finish(inputAt, content.length - at);
    const low = this.#words[0]!;
    const high = this.#words[1]!;
    return { low, hex: high === 0 ? low.toString(16) : high.toString(16) + low.toString(16).padStart(8, "0") };
  }
}
