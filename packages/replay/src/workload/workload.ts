/** A run of tokens. Equal ids mean equal content: of two segments with one id, the shorter is a prefix of the longer. */
export interface Segment {
  readonly id: number;
  readonly tokens: number;
  /** Chat role; `undefined` in a plain completion. */
  readonly role?: "system" | "user" | "assistant";
}

/** What a workload says about one request. */
export interface RequestOutline {
  /** Arrival in milliseconds; for a request that follows another, the pause after that one's answer. */
  readonly atMs: number;
  /** Index of the request whose answer this one waits for. */
  readonly follows?: number;
  readonly session?: string;
  readonly prompt: readonly Segment[];
  readonly output: Segment;
}

/** One request of a workload, ready to be replayed. */
export interface WorkloadRequest extends RequestOutline {
  readonly index: number;
  readonly promptTokens: number;
  /** Keys of all full blocks of prompt and answer; see {@link Workload.keyCount}. */
  readonly keys: Int32Array;
}

/** Requests in the order they are started. */
export interface Workload {
  readonly name: string;
  readonly requests: readonly WorkloadRequest[];
  readonly blockTokens: number;
  /** Keys are whole numbers below this. Equal keys mean equal tokens up to and including the block. */
  readonly keyCount: number;
  readonly maxOutputTokens: number;
}

/** Completes outlines: lengths, and block keys that are equal where tokens are. */
export function buildWorkload(name: string, outlines: readonly RequestOutline[], blockTokens: number): Workload {
  const keyOf = new Map<number, number>();
  const requests = outlines.map((outline, index): WorkloadRequest => {
    let promptTokens = 0;
    for (const { tokens } of outline.prompt) promptTokens += tokens;
    const keys = new Int32Array(Math.floor((promptTokens + outline.output.tokens) / blockTokens));
    let filled = 0;
    const chain = new KeyChain();
    let room = blockTokens;
    for (const segment of [...outline.prompt, outline.output]) {
      for (let offset = 0; offset < segment.tokens; ) {
        const tokens = Math.min(room, segment.tokens - offset);
        chain.add(segment.id, offset, tokens);
        offset += tokens;
        room -= tokens;
        if (room > 0) continue;
        room = blockTokens;
        let key = keyOf.get(chain.value);
        if (key === undefined) {
          key = keyOf.size;
          keyOf.set(chain.value, key);
        }
        keys[filled++] = key;
      }
    }
    return { ...outline, index, promptTokens, keys };
  });
  return {
    name,
    requests,
    blockTokens,
    keyCount: keyOf.size,
    maxOutputTokens: requests.reduce((max, { output }) => Math.max(max, output.tokens), 0),
  };
}

/** A running hash of which tokens were seen, 53 bits wide. */
class KeyChain {
  #high = 1;
  #low = 1;

  get value(): number {
    return (this.#high >>> 0) * 2 ** 21 + (this.#low & (2 ** 21 - 1));
  }

  add(id: number, offset: number, tokens: number): void {
    for (const part of [id, Math.floor(id / 2 ** 32), offset * 65_536 + tokens]) {
      this.#high = mixed(Math.imul(this.#high ^ part, 0x85eb_ca6b) + this.#low);
      this.#low = mixed(Math.imul(this.#low ^ part, 0xc2b2_ae35) + this.#high);
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
