import type { ResponseHead } from "@pointsman/http-proxy/http1";
import type { Target } from "./target.ts";
import type { UpstreamConnection, UpstreamListener } from "./upstream-connection.ts";
import type { UpstreamFailure } from "./upstream-failure.ts";
import type { UpstreamPool } from "./upstream-pool.ts";

/** One request to a model server: the head as text, then the body in slices. */
export interface UpstreamRequest {
  readonly head: string;
  readonly body: readonly Uint8Array[];
  readonly toHead: boolean;
  /** More of the body follows. */
  readonly open: boolean;
}

/** Body bytes kept while they are sent, in case the request has to be sent again. */
const maxReplayBytes = 256 * 1024;

/**
 * One request and its answer. A kept connection that closes before any byte of the answer was most likely closed while it
 * was idle, so the request goes out once more over a fresh connection, as long as all of it is still there.
 */
export class UpstreamCall implements UpstreamListener {
  readonly #pool: UpstreamPool;
  readonly #target: Target;
  readonly #request: UpstreamRequest;
  readonly #listener: UpstreamListener;
  #connection: UpstreamConnection;
  /** What was written after the first slices; `undefined` when it has become too much to keep. */
  #written: Uint8Array[] | undefined = [];
  #writtenBytes = 0;
  #open: boolean;
  #over = false;

  constructor(pool: UpstreamPool, target: Target, request: UpstreamRequest, listener: UpstreamListener) {
    this.#pool = pool;
    this.#target = target;
    this.#request = request;
    this.#listener = listener;
    this.#open = request.open;
    this.#connection = pool.acquire(target, false);
    this.#connection.send(request.head, request.body, request.open, request.toHead, this);
  }

  /** Sends more of the body, as it goes on the wire. Returns false when the server is behind. */
  write(parts: readonly Uint8Array[]): boolean {
    if (this.#over) return true;
    if (this.#written !== undefined) {
      for (const part of parts) this.#writtenBytes += part.length;
      if (this.#writtenBytes > maxReplayBytes) this.#written = undefined;
      else this.#written.push(...parts);
    }
    return this.#connection.write(parts);
  }

  /** The body is complete. */
  finishRequest(): void {
    this.#open = false;
    if (!this.#over) this.#connection.finishRequest();
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  /** Ends the request without an answer; nothing more is heard of it. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#connection.abort();
  }

  answerHead(head: ResponseHead, complete: boolean): void {
    if (complete) this.#over = true;
    this.#listener.answerHead(head, complete);
  }

  answerBody(block: Buffer, start: number, end: number, complete: boolean): void {
    if (complete) this.#over = true;
    this.#listener.answerBody(block, start, end, complete);
  }

  answerTrailers(trailers: readonly (readonly [name: string, value: string])[]): void {
    this.#over = true;
    this.#listener.answerTrailers(trailers);
  }

  requestDrained(): void {
    this.#listener.requestDrained();
  }

  answerFailed(failure: UpstreamFailure): void {
    if (this.#over) return;
    const written = this.#written;
    if (failure.kind === "closed" && failure.reused && !failure.answered && written !== undefined) {
      const { head, body, toHead } = this.#request;
      this.#connection = this.#pool.acquire(this.#target, true);
      this.#connection.send(head, written.length === 0 ? body : [...body, ...written], this.#open, toHead, this);
      this.#listener.requestDrained();
      return;
    }
    this.#over = true;
    this.#listener.answerFailed(failure);
  }
}
