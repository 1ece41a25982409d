import { mix32 } from "../random-stream.ts";
import { tokenOfText } from "./tokenizer.ts";

const firstLetters = "bdfgjklmnprstvwz";
const vowels = "aeiou";
const lastLetters = "klmnprst";
const words = [...firstLetters].flatMap((a) => [...vowels].flatMap((b) => [...lastLetters].map((c) => a + b + c)));
const innerTexts = words.map((word) => `${word} `);
const finalTexts = words.map((word) => `${word}.`);
const innerTokens = innerTexts.map(tokenOfText);
const finalTokens = finalTexts.map(tokenOfText);

/**
 * An answer of `tokens` tokens: three-letter words, each with a blank, the last one with a full stop, so each word is
 * one token of the tokenizer. Equal seed and length give an equal answer. Any part is computed when asked for; nothing
 * is stored.
 */
export class Answer {
  readonly tokens: number;
  readonly finishReason: "stop" | "length";
  readonly #seed: number;

  constructor(seed: number, tokens: number, finishReason: "stop" | "length") {
    this.#seed = seed;
    this.tokens = tokens;
    this.finishReason = finishReason;
  }

  /** The text of the tokens `from` (included) to `to` (excluded). */
  text(from: number, to: number): string {
    let text = "";
    for (let i = from; i < to; i += 1) text += this.#pick(i, innerTexts, finalTexts) ?? "";
    return text;
  }

  tokenId(index: number): number {
    return this.#pick(index, innerTokens, finalTokens) ?? 0;
  }

  #pick<T>(index: number, inner: readonly T[], final: readonly T[]): T | undefined {
    const word = mix32(this.#seed + Math.imul(index, 0x9e3779b9)) % words.length;
    return (index === this.tokens - 1 ? final : inner)[word];
  }
}
