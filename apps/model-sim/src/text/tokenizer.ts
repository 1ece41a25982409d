import { mix32 } from "../random-stream.ts";

/** Ordinary token ids are 0..vocabularySize-1; the special tokens follow. */
export const vocabularySize = 151_643;
export const messageStartToken = 151_644;
export const messageEndToken = 151_645;

/** UTF-8 bytes that make one token; the last token of a text may have fewer. */
export const bytesPerToken = 4;

function tokenOfBytes(bytes: Uint8Array, from: number, to: number): number {
  let word = to - from;
  for (let i = from; i < to; i += 1) word = (Math.imul(word, 257) + (bytes[i] ?? 0)) | 0;
  return mix32(word) % vocabularySize;
}

/**
 * A list of token ids that grows as texts are added. Each text is split on its own: one token per 4 bytes of UTF-8,
 * so the tokens of a text do not depend on what was added before it, and two texts with equal starts share tokens.
 */
export class TokenList {
  #ids = new Uint32Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  addText(text: string): void {
    const bytes = Buffer.from(text, "utf8");
    this.#reserve(Math.ceil(bytes.length / bytesPerToken));
    for (let from = 0; from < bytes.length; from += bytesPerToken) {
      this.#ids[this.#length] = tokenOfBytes(bytes, from, Math.min(from + bytesPerToken, bytes.length));
      this.#length += 1;
    }
  }

  addToken(id: number): void {
    this.#reserve(1);
    this.#ids[this.#length] = id;
    this.#length += 1;
  }

  /** The ids so far. A view: valid until the next addition. */
  ids(): Uint32Array {
    return this.#ids.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#ids.length) return;
    const grown = new Uint32Array(Math.max(this.#length + more, this.#ids.length * 2));
    grown.set(this.ids());
    this.#ids = grown;
  }
}

/** Returns the pieces of a text that become one token each. A character cut in two shows as U+FFFD in both pieces. */
export function tokenTexts(text: string): string[] {
  const bytes = Buffer.from(text, "utf8");
  const pieces: string[] = [];
  for (let from = 0; from < bytes.length; from += bytesPerToken) {
    pieces.push(bytes.toString("utf8", from, Math.min(from + bytesPerToken, bytes.length)));
  }
  return pieces;
}

/** The token id of a text of at most 4 bytes. */
export function tokenOfText(text: string): number {
  const bytes = Buffer.from(text, "utf8");
  return tokenOfBytes(bytes, 0, bytes.length);
}
