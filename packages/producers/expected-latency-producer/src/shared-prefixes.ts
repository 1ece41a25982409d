/** Lengths of the prefixes that are told apart, tokens: whole multiples of {@link unit}, each up to twice the one before. */
export const prefixLengths: readonly number[] = [
  ...[256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12_288, 16_384, 24_576, 32_768],
];
const unit = 256;
/** For how many times an answer a copy of a prefix is taken to be of use. */
const usefulAnswers = 4;

/** How many of the lengths so many units reach. */
const reached: Uint8Array = Uint8Array.from(
  { length: prefixLengths.at(-1)! / unit + 1 },
  (_, units) => prefixLengths.filter((length) => length <= units * unit).length,
);

/** How many of {@link prefixLengths} so many tokens reach. */
function lengthsWithin(tokens: number): number {
  return reached[Math.min(reached.length - 1, Math.floor(tokens / unit))]!;
}

/** Hashes of the leading tokens of a prompt, one for each length that it reaches. O(tokens), at most 32,768. */
export function prefixHashes(tokens: Uint32Array): readonly number[] {
  const hashes: number[] = [];
  let hash = 0x811c_9dc5;
  let from = 0;
  for (const length of prefixLengths) {
    if (tokens.length < length) break;
    // FNV-1a over 32-bit words instead of bytes.
    for (let i = from; i < length; i++) hash = Math.imul(hash ^ tokens[i]!, 0x0100_0193);
    from = length;
    hashes.push(hash);
  }
  return hashes;
}

/**
 * How many requests on their way begin alike. By Little's law as many come within the time that one takes, so it tells how
 * often a prefix will be asked for, without a clock. State: as many numbers as requests on their way have prefixes.
 */
export class SharedPrefixes {
  readonly #requests: Map<number, number> = new Map();

  get size(): number {
    return this.#requests.size;
  }

  add(hashes: readonly number[]): void {
    for (const hash of hashes) this.#requests.set(hash, (this.#requests.get(hash) ?? 0) + 1);
  }

  remove(hashes: readonly number[]): void {
    for (const hash of hashes) {
      const left = (this.#requests.get(hash) ?? 0) - 1;
      if (left > 0) this.#requests.set(hash, left);
      else this.#requests.delete(hash);
    }
  }

  /**
   * How many requests will come for this prefix while a copy of it is of use: as many as are on their way, less what may be
   * chance (three deviations of such a count: the one that is largest by chance among many prefixes is looked at too), for
   * several answers' time.
   */
  coming(hash: number): number {
    const requests = this.#requests.get(hash) ?? 0;
    return usefulAnswers * Math.max(0, requests - 3 * Math.sqrt(requests));
  }
}

/**
 * How many tokens that an endpoint lacks of a request's prefixes count for others, who will find them there. One for all
 * requests, told of each before its candidates; O(1) for each candidate, nothing allocated.
 */
export class SparedTokens {
  /** Endpoints that hold a prefix of each length, those of the longer ones not counted again. */
  readonly #holders: Uint32Array = new Uint32Array(prefixLengths.length + 1);
  /** Share of each stretch between two lengths that is spared, and how much of all of them up to there. */
  readonly #share: Float64Array = new Float64Array(prefixLengths.length);
  readonly #upTo: Float64Array = new Float64Array(prefixLengths.length + 1);
  #lengths = 0;

  /** Begins a request with as many lengths as its prompt reaches; 0 spares nothing. */
  begin(lengths: number): void {
    this.#lengths = lengths;
    this.#holders.fill(0);
  }

  /** Notes an endpoint that holds so many tokens of the prompt. */
  held(tokens: number): void {
    this.#holders[lengthsWithin(tokens)]!++;
  }

  /** All holders are known. `coming` tells how many requests will come for the prefix of each length. */
  settle(coming: (length: number) => number): void {
    let holders = 0;
    for (let i = prefixLengths.length; i > this.#lengths; i--) holders += this.#holders[i]!;
    for (let i = this.#lengths - 1; i >= 0; i--) {
      holders += this.#holders[i + 1]!;
      // Those who come are shared among all who hold it, this endpoint included.
      const followers = coming(i) / (holders + 1);
      this.#share[i] = followers / (1 + followers);
    }
    for (let i = 0; i < this.#lengths; i++) {
      const tokens = prefixLengths[i]! - (prefixLengths[i - 1] ?? 0);
      this.#upTo[i + 1] = this.#upTo[i]! + tokens * this.#share[i]!;
    }
  }

  /** For an endpoint that holds so many tokens of the prompt. */
  of(cachedTokens: number): number {
    const all = this.#upTo[this.#lengths]!;
    if (cachedTokens <= 0) return all;
    const whole = lengthsWithin(cachedTokens);
    if (whole >= this.#lengths) return 0;
    const begun = cachedTokens - (prefixLengths[whole - 1] ?? 0);
    return all - this.#upTo[whole]! - begun * this.#share[whole]!;
  }
}
