import type { Headers } from "@pointsman/core";
import type { ResponseHead } from "@pointsman/http-proxy/http1";
import type { Cancellation } from "../cancellation.ts";
import type { Target } from "./target.ts";
import { UpstreamCall, type UpstreamRequest } from "./upstream-call.ts";
import type { UpstreamListener } from "./upstream-connection.ts";
import type { UpstreamFailure, UpstreamFailureKind } from "./upstream-failure.ts";
import type { UpstreamPool } from "./upstream-pool.ts";

/** A whole answer. */
export interface CollectedReply {
  readonly answered: true;
  readonly status: number;
  /** With `:status` first. */
  readonly headers: Headers;
  readonly body: Buffer;
}

export interface FailedReply {
  readonly answered: false;
  readonly failure: UpstreamFailure;
}

export interface CollectOptions {
  readonly cancellation: Cancellation;
  readonly maxBytes: number;
  /** Time for the whole answer; `undefined` for as long as it takes. */
  readonly timeoutMs: number | undefined;
}

/** Tells whether a status is a success: 200 to 299. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** Tells whether a stage has answered with success. */
export function succeeded(reply: CollectedReply | FailedReply): reply is CollectedReply {
  return reply.answered && isSuccess(reply.status);
}

/** Sends a request and waits for its whole answer. Never rejects. */
export function collectReply(
  pool: UpstreamPool,
  target: Target,
  request: UpstreamRequest,
  options: CollectOptions,
): Promise<CollectedReply | FailedReply> {
  return new Promise((resolve) => {
    new Collector(pool, target, request, options, resolve);
  });
}

class Collector implements UpstreamListener {
  readonly #options: CollectOptions;
  readonly #resolve: (reply: CollectedReply | FailedReply) => void;
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  #head: ResponseHead | undefined;
  #call: UpstreamCall | undefined;
  #timer: NodeJS.Timeout | undefined;
  #release: (() => void) | undefined;
  #over = false;

  constructor(
    pool: UpstreamPool,
    target: Target,
    request: UpstreamRequest,
    options: CollectOptions,
    resolve: (reply: CollectedReply | FailedReply) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    if (options.cancellation.isCancelled) {
      this.#end({ answered: false, failure: ownFailure("cancelled", "nobody waits for the answer") });
      return;
    }
    this.#release = options.cancellation.onCancel(() => this.#giveUp("cancelled", "nobody waits for the answer"));
    const { timeoutMs } = options;
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(() => this.#giveUp("answer-timeout", `no answer in ${timeoutMs} ms`), timeoutMs);
    }
    this.#call = new UpstreamCall(pool, target, request, this);
  }

  answerHead(head: ResponseHead, complete: boolean): void {
    this.#head = head;
    if (complete) this.#complete();
  }

  answerBody(block: Buffer, start: number, end: number, complete: boolean): void {
    if (this.#over) return;
    if (end > start) this.#parts.push(block.subarray(start, end));
    this.#bytes += end - start;
    const { maxBytes } = this.#options;
    if (this.#bytes > maxBytes) this.#giveUp("too-large", `the answer exceeds ${maxBytes} bytes`);
    else if (complete) this.#complete();
  }

  answerTrailers(): void {
    this.#complete();
  }

  requestDrained(): void {}

  answerFailed(failure: UpstreamFailure): void {
    this.#end({ answered: false, failure });
  }

  #complete(): void {
    const { status, headers } = this.#head!;
    const body = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#end({ answered: true, status, headers, body });
  }

  #giveUp(kind: UpstreamFailureKind, problem: string): void {
    this.#call?.abort();
    this.#end({ answered: false, failure: ownFailure(kind, problem) });
  }

  #end(reply: CollectedReply | FailedReply): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#release?.();
    this.#resolve(reply);
  }
}

function ownFailure(kind: UpstreamFailureKind, problem: string): UpstreamFailure {
  return { kind, problem, reused: false, answered: false };
}
