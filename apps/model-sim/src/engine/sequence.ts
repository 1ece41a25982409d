import type { Answer } from "../text/answer.ts";
import type { BlockHasher } from "./block-hasher.ts";

/** A request as the engine sees it. */
export interface EngineRequest {
  readonly promptTokens: number;
  /** Keys of the prompt's full blocks. */
  readonly promptKeys: Float64Array;
  /** Has seen the prompt; the engine adds the answer's tokens to it as they are stored. */
  readonly hasher: BlockHasher;
  readonly answer: Answer;
  readonly adapter: string | undefined;
  /** Prompt tokens whose cache another server has sent; all but the last at most. Undefined = none. */
  readonly receivedTokens?: number;
  /** The blocks of the prompt are wanted by another server. */
  readonly keepsBlocks?: boolean;
}

export interface EngineListener {
  /** At the end of a step that gave the request a token. Not called for requests that were aborted. */
  onToken?(sequence: EngineSequence): void;
  /** After the last `onToken`. Not called for requests that were aborted. */
  onFinish(sequence: EngineSequence): void;
}

/** A request's progress. Times are the clock's milliseconds; undefined = has not happened. */
export interface EngineSequence {
  readonly request: EngineRequest;
  readonly state: "waiting" | "running" | "finished" | "aborted";
  readonly arrivedMs: number;
  readonly scheduledMs: number | undefined;
  readonly firstTokenMs: number | undefined;
  readonly lastTokenMs: number | undefined;
  /** Prompt tokens found in the prefix cache; 0 until scheduled. */
  readonly cachedTokens: number;
  readonly producedTokens: number;
  /** Blocks that the prompt was in, of a finished request that keeps them. */
  readonly promptBlocks: readonly number[];
}

/** The engine's own, mutable view. */
export interface Sequence extends EngineSequence {
  state: "waiting" | "running" | "finished" | "aborted";
  scheduledMs: number | undefined;
  firstTokenMs: number | undefined;
  lastTokenMs: number | undefined;
  cachedTokens: number;
  producedTokens: number;
  promptBlocks: readonly number[];
  readonly listener: EngineListener;
  readonly blocks: number[];
  /** Blocks promised for the answer and not taken yet. */
  reservedBlocks: number;
  /** Prompt tokens computed, the step in progress included. */
  computedTokens: number;
  /** What the step in progress does for the sequence. */
  part: "prefill" | "decode" | "none";
  previousWaiting: Sequence | undefined;
  nextWaiting: Sequence | undefined;
}

/** First in, first out; removal from anywhere is O(1). */
export class WaitingList {
  #first: Sequence | undefined;
  #last: Sequence | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): Sequence | undefined {
    return this.#first;
  }

  add(sequence: Sequence): void {
    sequence.previousWaiting = this.#last;
    if (this.#last === undefined) this.#first = sequence;
    else this.#last.nextWaiting = sequence;
    this.#last = sequence;
    this.#length += 1;
  }

  remove(sequence: Sequence): void {
    const { previousWaiting, nextWaiting } = sequence;
    if (previousWaiting === undefined) this.#first = nextWaiting;
    else previousWaiting.nextWaiting = nextWaiting;
    if (nextWaiting === undefined) this.#last = previousWaiting;
    else nextWaiting.previousWaiting = previousWaiting;
    sequence.previousWaiting = undefined;
    sequence.nextWaiting = undefined;
    this.#length -= 1;
  }
}
