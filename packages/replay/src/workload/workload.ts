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
    keyCount: blockKeys.count,
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
