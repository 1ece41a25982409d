import type { Http2Keepalive, Http2Limits } from "./http2-limits.ts";

/** What the watch may do about a connection. */
export interface Watched {
  readonly isGreeted: boolean;
  /** When an incomplete header block began. */
  readonly headerBlockSinceMs: number | undefined;
  /** What stands for a frame other than DATA of which a part has come. */
  readonly unfinishedFrame: object | undefined;
  readonly isWriting: boolean;
  readonly isPaused: boolean;
  sendKeepalive(): void;
  timedOut(what: "header-timeout" | "keepalive-timeout" | "write-stalled"): void;
  /** The peer had time to see that the server drains. */
  drainNoticed(): void;
  destroy(): void;
}

/** Longest wait for the answer to the PING that follows the first GOAWAY of a drain. */
const drainNoticeMs = 1000;
/** Time for the peer to read what was sent last and to close. */
const lingerMs = 1000;

/** Times of one connection. It is asked regularly and has no timer of its own. */
export class ConnectionWatch {
  readonly #limits: Http2Limits;
  readonly #keepalive: Http2Keepalive;
  readonly #openedMs: number;
  #readMs: number;
  /** When the connection was last seen paused. */
  #pausedMs: number;
  #frame: object | undefined;
  #frameSinceMs = 0;
  #writtenMs: number;
  #pingMs: number | undefined;
  #noticeMs: number | undefined;
  #destroyMs: number | undefined;
  #finishesWrites = false;
  #hasRead = false;
  #hasWritten = false;

  constructor(limits: Http2Limits, keepalive: Http2Keepalive, nowMs: number) {
    this.#limits = limits;
    this.#keepalive = keepalive;
    this.#openedMs = nowMs;
    this.#readMs = nowMs;
    this.#pausedMs = nowMs;
    this.#writtenMs = nowMs;
  }

  /** Something came. */
  read(): void {
    this.#hasRead = true;
  }

  /** Something was taken by the system. */
  written(): void {
    this.#hasWritten = true;
  }

  drainAnnounced(nowMs: number): void {
    this.#noticeMs = nowMs + drainNoticeMs;
  }

  /** Nothing more is said. `finishesWrites`: what was said before has the time that any write has. */
  closing(nowMs: number, finishesWrites: boolean): void {
    this.#destroyMs = nowMs + lingerMs;
    this.#finishesWrites = finishesWrites;
  }

  look(connection: Watched, nowMs: number): void {
    if (this.#hasRead) {
      this.#hasRead = false;
      this.#readMs = nowMs;
      this.#pingMs = undefined;
    }
    if (this.#hasWritten || !connection.isWriting) {
      this.#hasWritten = false;
      this.#writtenMs = nowMs;
    }
    const isStalled = connection.isWriting && nowMs - this.#writtenMs >= this.#keepalive.timeoutMs;
    if (this.#destroyMs !== undefined) {
      if (this.#finishesWrites && connection.isWriting && !isStalled) this.#destroyMs = nowMs + lingerMs;
      else if (nowMs >= this.#destroyMs) connection.destroy();
      return;
    }
    // Nothing is read while the socket is paused: then the write tells whether the peer lives.
    if (connection.isPaused) {
      this.#readMs = nowMs;
      this.#pausedMs = nowMs;
    }
    if (this.#isHeaderLate(connection, nowMs)) {
      connection.timedOut("header-timeout");
      return;
    }
    if (this.#noticeMs !== undefined && nowMs >= this.#noticeMs) {
      this.#noticeMs = undefined;
      connection.drainNoticed();
    }
    if (isStalled) {
      connection.timedOut("write-stalled");
      return;
    }
    if (this.#pingMs !== undefined) {
      if (nowMs - this.#pingMs >= this.#keepalive.timeoutMs) connection.timedOut("keepalive-timeout");
    } else if (nowMs - this.#readMs >= this.#keepalive.intervalMs) {
      this.#pingMs = nowMs;
      connection.sendKeepalive();
    }
  }

  #isHeaderLate(connection: Watched, nowMs: number): boolean {
    const { headerTimeoutMs } = this.#limits;
    if (!connection.isGreeted) return nowMs - this.#openedMs >= headerTimeoutMs;
    const frame = connection.unfinishedFrame;
    if (frame !== this.#frame) {
      this.#frame = frame;
      this.#frameSinceMs = nowMs;
    }
    let sinceMs = connection.headerBlockSinceMs;
    if (sinceMs === undefined) {
      if (frame === undefined) return false;
      sinceMs = this.#frameSinceMs;
    }
    return nowMs - Math.max(sinceMs, this.#pausedMs) >= headerTimeoutMs;
  }
}
