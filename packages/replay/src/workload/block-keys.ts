const firstCapacity = 1024;

/**
 * Numbers the blocks of prompts: blocks get the same number where all tokens up to and including the block are the same.
 *
 * A block is told by a 64-bit hash of the tokens before and in it; that two of a workload's blocks share one by accident
 * is less likely than one in a million up to ten million blocks. Cost: 12 bytes for each entry of a table that is at most
 * half full.
 */
export class BlockKeys {
  #count = 0;
  #capacity = firstCapacity;
  #highs: Int32Array = new Int32Array(firstCapacity);
  #lows: Int32Array = new Int32Array(firstCapacity);
  /** Number of the block in each place, from 1; 0 where there is none. */
  #numbers: Int32Array = new Int32Array(firstCapacity);
  /** Hash of the tokens since `begin`. */
  #high = 0;
  #low = 0;

  /** Numbers given so far: they are the whole numbers below this. */
  get count(): number {
    return this.#count;
  }

  /** Starts a prompt. */
  begin(): void {
    this.#high = 1;
    this.#low = 1;
  }

  /** Goes on with `tokens` tokens of the content `id`, from token `offset` of that content. */
  add(id: number, offset: number, tokens: number): void {
    this.#mix(id);
    this.#mix(Math.floor(id / 2 ** 32));
    this.#mix(offset);
    this.#mix(tokens);
  }

  /** The number of a block that ends here. */
  key(): number {
    if (this.#count * 2 >= this.#capacity) this.#grow();
    const place = this.#placeOf(this.#high, this.#low);
    if (this.#numbers[place] === 0) this.#put(place, this.#high, this.#low, ++this.#count);
    return this.#numbers[place]! - 1;
  }

  #mix(part: number): void {
    this.#high = mixed(Math.imul(this.#high ^ part, 0x85eb_ca6b) + this.#low);
    this.#low = mixed(Math.imul(this.#low ^ part, 0xc2b2_ae35) + this.#high);
  }

  /** Where a hash is, or the free place for it. */
  #placeOf(high: number, low: number): number {
    const mask = this.#capacity - 1;
    let place = (high ^ low) & mask;
    while (this.#numbers[place] !== 0 && (this.#highs[place] !== high || this.#lows[place] !== low)) {
      place = (place + 1) & mask;
    }
    return place;
  }

  #put(place: number, high: number, low: number, number: number): void {
    this.#highs[place] = high;
    this.#lows[place] = low;
    this.#numbers[place] = number;
  }

  #grow(): void {
    const [highs, lows, numbers] = [this.#highs, this.#lows, this.#numbers];
    this.#capacity *= 2;
    this.#highs = new Int32Array(this.#capacity);
    this.#lows = new Int32Array(this.#capacity);
    this.#numbers = new Int32Array(this.#capacity);
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i]!;
      if (number !== 0) this.#put(this.#placeOf(highs[i]!, lows[i]!), highs[i]!, lows[i]!, number);
    }
  }
}

/** Finaliser of MurmurHash3 by Austin Appleby: every bit of the input changes about half of the output's. */
function mixed(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return x ^ (x >>> 16);
}
