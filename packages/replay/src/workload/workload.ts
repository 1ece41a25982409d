import { BlockKeys } from "./block-keys.ts";

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
  /**
   * Keys of all full blocks of prompt and answer. Equal keys mean equal tokens up to and including the block, but for
   * {@link unsharedKey}.
   */
  readonly keys: Int32Array;
}

/** Requests in the order they are started. */
export interface Workload {
  readonly name: string;
  readonly requests: readonly WorkloadRequest[];
  readonly blockTokens: number;
  /** Keys are whole numbers below this. */
  readonly keyCount: number;
  readonly maxOutputTokens: number;
}

/** Key of all blocks that occur in one request only: nobody ever looks for them. */
export const unsharedKey = 0;

/** Completes outlines: lengths, and block keys that are equal where tokens are. */
export function buildWorkload(name: string, outlines: readonly RequestOutline[], blockTokens: number): Workload {
  const blockKeys = new BlockKeys();
  const requests = outlines.map((outline, index): WorkloadRequest => {
    const promptTokens = outline.prompt.reduce((sum, { tokens }) => sum + tokens, 0);
    const keys = new Int32Array(Math.floor((promptTokens + outline.output.tokens) / blockTokens));
    fillKeys(keys, [...outline.prompt, outline.output], blockTokens, blockKeys);
    return { ...outline, index, promptTokens, keys };
  });
  return {
    name,
    requests,
    blockTokens,
    keyCount: numberShared(
      requests.map(({ keys }) => keys),
      blockKeys.count,
    ),
    maxOutputTokens: requests.reduce((max, { output }) => Math.max(max, output.tokens), 0),
  };
}

/** Fills in the key of every full block of what segments hold one after another. */
function fillKeys(keys: Int32Array, segments: readonly Segment[], blockTokens: number, blockKeys: BlockKeys): void {
  let filled = 0;
  let room = blockTokens;
  blockKeys.begin();
  for (const segment of segments) {
    for (let offset = 0; offset < segment.tokens; ) {
      const tokens = Math.min(room, segment.tokens - offset);
      blockKeys.add(segment.id, offset, tokens);
      offset += tokens;
      room -= tokens;
      if (room > 0) continue;
      room = blockTokens;
      keys[filled++] = blockKeys.key();
    }
  }
}

/** Numbers the keys that stand in several of the lists anew, from 1, and all others 0. Returns how many numbers there are. */
function numberShared(lists: readonly Int32Array[], keyCount: number): number {
  const seen = new Uint8Array(keyCount);
  for (const keys of lists) {
    // A key stands in one list once at most: it covers all that is before it.
    for (let i = 0; i < keys.length; i++) seen[keys[i]!] = Math.min(2, seen[keys[i]!]! + 1);
  }
  const numbers = new Int32Array(keyCount).fill(unsharedKey);
  let count = unsharedKey + 1;
  for (let key = 0; key < keyCount; key++) if (seen[key] === 2) numbers[key] = count++;
  for (const keys of lists) for (let i = 0; i < keys.length; i++) keys[i] = numbers[keys[i]!]!;
  return count;
}
