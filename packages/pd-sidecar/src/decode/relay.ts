import type { Headers } from "@pointsman/core";
import type { ResponseHead } from "@pointsman/http-proxy/http1";
import type { BodyRewriter } from "../body/usage-rewriter.ts";
import type { Cancellation } from "../cancellation.ts";
import type { ClientReply } from "../client/client-reply.ts";
import type { Target } from "../upstream/target.ts";
import { UpstreamCall, type UpstreamRequest } from "../upstream/upstream-call.ts";
import type { UpstreamListener } from "../upstream/upstream-connection.ts";
import type { UpstreamFailure } from "../upstream/upstream-failure.ts";
import type { UpstreamPool } from "../upstream/upstream-pool.ts";

/** How a relay ended. */
export type RelayEnd =
  | { readonly kind: "complete"; readonly status: number }
  | { readonly kind: "failed"; readonly failure: UpstreamFailure }
  /** The client has left, or the relay was given up. */
  | { readonly kind: "cancelled" };

/** The client that gets the answer. */
export interface RelayClient {
  readonly request: { readonly method: string };
  readonly reply: ClientReply;
  readonly cancellation: Cancellation;
}

export interface RelayOptions {
  /** Makes the rewriter of the body from the answer's head. */
  readonly rewriter?: (head: ResponseHead) => BodyRewriter | undefined;
  /** Keeps what comes until `release`. */
  readonly hold?: boolean;
  /** A held relay has got its head, body bytes, its end or a failure. Called in the order they come. */
  readonly onHeld?: (relay: Relay) => void;
  onFirstByte(): void;
  /** Answers the client, which has got nothing, for a server that did not. */
  onUnanswered(failure: UpstreamFailure): void;
  /** Before `ended` resolves. */
  onEnd(end: RelayEnd): void;
}

interface HeldBlock {
  readonly block: Buffer;
  readonly start: number;
  readonly end: number;
}

/** A held answer beyond this stops the server until it is released. */
const maxHeldBytes = 1024 * 1024;

/**
 * Passes a server's answer to the client as it comes. One that is held can be looked at, and is then either released to
 * the client or dropped without a trace.
 */
export class Relay implements UpstreamListener {
  readonly #client: RelayClient;
  readonly #options: RelayOptions;
  readonly #call: UpstreamCall;
  #releaseCancel: () => void = () => {};
  readonly ended: Promise<RelayEnd>;
  #resolve!: (end: RelayEnd) => void;
  #holding: boolean;
  #held: HeldBlock[] = [];
  #heldBytes = 0;
  #head: ResponseHead | undefined;
  #complete = false;
  #trailers: readonly (readonly [name: string, value: string])[] | undefined;
  #failure: UpstreamFailure | undefined;
  #over = false;
  #rewriter: BodyRewriter | undefined;
  #begun = false;

  constructor(
    pool: UpstreamPool,
    target: Target,
    request: UpstreamRequest,
    client: RelayClient,
    options: RelayOptions,
  ) {
    this.#client = client;
    this.#options = options;
    this.#holding = options.hold === true;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#call = new UpstreamCall(pool, target, request, this);
    client.reply.onDrained = () => {
      if (!this.#over) this.#call.resume();
    };
    this.#releaseCancel = client.cancellation.onCancel(() => this.drop());
  }

  /** For a request whose body is still coming. */
  get call(): UpstreamCall {
    return this.#call;
  }

  /** Called when the server takes more of a request body. */
  onRequestDrained: (() => void) | undefined;

  get status(): number | undefined {
    return this.#head?.status;
  }

  get headers(): Headers | undefined {
    return this.#head?.headers;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The held answer is complete. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** Why the held answer will not come. */
  get failure(): UpstreamFailure | undefined {
    return this.#failure;
  }

  /** A copy of what is held. */
  heldBody(): Buffer {
    return Buffer.concat(this.#held.map(({ block, start, end }) => block.subarray(start, end)));
  }

  /** Lets the answer pass, that which is held first. */
  release(): void {
    if (!this.#holding || this.#over) return;
    this.#holding = false;
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    const failure = this.#failure;
    if (failure !== undefined) {
      this.#fail(failure);
      return;
    }
    if (this.#head !== undefined) {
      const last = held.length - 1;
      const complete = this.#complete && this.#trailers === undefined;
      this.#sendHead(complete && held.length === 0);
      for (const [i, { block, start, end }] of held.entries())
        this.#sendBody(block, start, end, complete && i === last);
      if (this.#trailers !== undefined) this.#sendTrailers(this.#trailers);
    }
    if (!this.#client.reply.isBehind) this.#call.resume();
  }

  /** Ends the call; nothing of a held answer reaches the client. */
  drop(): void {
    this.#call.abort();
    this.#finish({ kind: "cancelled" });
  }

  answerHead(head: ResponseHead, complete: boolean): void {
    this.#head = head;
    if (!this.#holding) this.#sendHead(complete);
    else {
      this.#complete = complete;
      this.#options.onHeld?.(this);
    }
  }

  answerBody(block: Buffer, start: number, end: number, complete: boolean): void {
    if (this.#over) return;
    if (!this.#holding) {
      this.#sendBody(block, start, end, complete);
      return;
    }
    this.#held.push({ block, start, end });
    this.#heldBytes += end - start;
    this.#complete = complete;
    if (this.#heldBytes > maxHeldBytes && !complete) this.#call.pause();
    this.#options.onHeld?.(this);
  }

  answerTrailers(trailers: readonly (readonly [name: string, value: string])[]): void {
    if (this.#over) return;
    if (!this.#holding) {
      this.#sendTrailers(trailers);
      return;
    }
    this.#trailers = trailers;
    this.#complete = true;
    this.#options.onHeld?.(this);
  }

  answerFailed(failure: UpstreamFailure): void {
    if (this.#over) return;
    if (!this.#holding) {
      this.#fail(failure);
      return;
    }
    this.#failure = failure;
    this.#options.onHeld?.(this);
  }

  requestDrained(): void {
    this.onRequestDrained?.();
  }

  #sendHead(complete: boolean): void {
    const { reply } = this.#client;
    const head = this.#head!;
    const { status, headers } = head;
    this.#rewriter = this.#options.rewriter?.(head);
    const lengthText = headers.get("content-length");
    const sized = lengthText !== undefined && this.#rewriter === undefined ? Number(lengthText) : undefined;
    reply.sendHead(status, headers, sized ?? (complete && this.#client.request.method !== "HEAD" ? 0 : undefined));
    if (complete) {
      reply.sendBytes(new Uint8Array(0), true);
      this.#finish({ kind: "complete", status });
    } else if (lengthText === undefined) {
      // The first part of a stream may take its time.
      reply.flushHead();
    }
  }

  #sendBody(block: Buffer, start: number, end: number, complete: boolean): void {
    const { reply } = this.#client;
    if (!this.#begun && end > start) {
      this.#begun = true;
      this.#options.onFirstByte();
    }
    const rewriter = this.#rewriter;
    if (rewriter === undefined) {
      reply.sendBlock(block, start, end, complete);
    } else {
      const parts = rewriter.push(block.subarray(start, end));
      const rest = complete ? rewriter.finish() : [];
      // Most of a stream is not changed and goes out of the memory it came in.
      if (rest.length === 0 && parts.length === 1 && isPart(parts[0]!, block, start, end)) {
        reply.sendBlock(block, start, end, complete);
        this.#afterBody(complete);
        return;
      }
      for (const part of parts) reply.sendBytes(part, false);
      for (const part of rest) reply.sendBytes(part, false);
      if (complete) reply.sendBytes(new Uint8Array(0), true);
    }
    this.#afterBody(complete);
  }

  #afterBody(complete: boolean): void {
    if (complete) this.#finish({ kind: "complete", status: this.#head!.status });
    else if (this.#client.reply.isBehind) this.#call.pause();
  }

  #sendTrailers(trailers: readonly (readonly [name: string, value: string])[]): void {
    const { reply } = this.#client;
    if (this.#rewriter !== undefined) for (const part of this.#rewriter.finish()) reply.sendBytes(part, false);
    reply.endWithTrailers(trailers);
    this.#finish({ kind: "complete", status: this.#head!.status });
  }

  #fail(failure: UpstreamFailure): void {
    const { reply } = this.#client;
    if (reply.headSent) reply.cut();
    else this.#options.onUnanswered(failure);
    this.#finish({ kind: "failed", failure });
  }

  #finish(end: RelayEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#releaseCancel();
    this.#options.onEnd(end);
    this.#resolve(end);
  }
}

/** Tells whether `bytes` are those of a block from `start` to `end`. */
function isPart(bytes: Uint8Array, block: Buffer, start: number, end: number): boolean {
  return bytes.buffer === block.buffer && bytes.byteOffset === block.byteOffset + start && bytes.length === end - start;
}
