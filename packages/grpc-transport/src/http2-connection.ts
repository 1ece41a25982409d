import type { Socket } from "node:net";
import { ConnectionWatch, type Watched } from "./connection-watch.ts";
import type { DeadlineQueue } from "./deadline-queue.ts";
import { FloodGuard } from "./flood-guard.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { HeaderAssembly } from "./header-assembly.ts";
import type { Http2Keepalive, Http2Limits } from "./http2-limits.ts";
import { defaultWindowBytes, errorCode, frameFlag, frameType, maxWindowBytes, settingId } from "./http2-protocol.ts";
import type { Http2Violation } from "./http2-violation.ts";
import { ReceiveWindow } from "./receive-window.ts";
import type { RpcEnd, RpcMethod } from "./rpc-transport.ts";
import { type PeerSettings, readSettings } from "./settings-frame.ts";
import type { ReadSocket } from "./shared-reads.ts";
import type { SlabPool } from "./slab-pool.ts";
import { type StreamHost, StreamTable } from "./stream-table.ts";

/** What the connections of one server share. */
export interface ConnectionContext {
  readonly methods: ReadonlyMap<string, RpcMethod>;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  readonly limits: Http2Limits;
  readonly keepalive: Http2Keepalive;
  readonly deadlines: DeadlineQueue;
  readonly slabs: SlabPool;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  violation(name: Http2Violation): void;
  handlerThrew(error: unknown): void;
  connectionClosed(connection: Http2Connection): void;
}

const keepalivePayload = Buffer.from("alive?\0\0");
const drainPayload = Buffer.from("drain?\0\0");

/** One HTTP/2 connection of a client: its socket, its control frames and its end. Streams are in a {@link StreamTable}. */
export class Http2Connection implements FrameSink, StreamHost, Watched {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #streams: StreamTable;
  readonly #watch: ConnectionWatch;
  readonly #guard: FloodGuard;
  readonly #block: HeaderAssembly;
  readonly #window: ReceiveWindow;
  #isReading = false;
  #flushScheduled = false;
  /** The peer's SETTINGS have come. */
  isGreeted = false;
  /** Nothing is read until the peer reads. */
  isPaused = false;
  #isClosing = false;
  #isClosed = false;
  #draining: "no" | "announced" | "final" = "no";
  /** The last stream that a GOAWAY named. */
  #goawayId = maxWindowBytes;
  readonly #flushLater = (): void => {
    this.#flushScheduled = false;
    this.#flush();
  };

  constructor(context: ConnectionContext, open: ReadSocket) {
    const { limits, clock } = context;
    this.#context = context;
    const socket = open((bytes, end) => this.#read(bytes, end));
    this.#socket = socket;
    this.#reader = new FrameReader(this);
    this.#writer = new FrameWriter(socket, context.slabs, () => this.#progressed());
    this.#watch = new ConnectionWatch(limits, context.keepalive, clock());
    this.#guard = new FloodGuard(limits, clock);
    this.#streams = new StreamTable(context, this, this.#writer, this.#guard);
    this.#block = new HeaderAssembly(limits.maxHeaderListBytes * 2, limits.maxContinuations);
    this.#window = new ReceiveWindow(Math.max(limits.connectionWindowBytes, defaultWindowBytes));
    socket.setNoDelay(true);
    socket.on("end", () => this.#close());
    socket.on("error", () => {});
    socket.on("close", () => this.#gone());
    this.#writer.settings([
      [settingId.maxConcurrentStreams, limits.maxConcurrentStreams],
      [settingId.initialWindowSize, limits.streamWindowBytes],
      [settingId.maxHeaderListSize, limits.maxHeaderListBytes],
    ]);
    const extraBytes = this.#window.byteCount - defaultWindowBytes;
    if (extraBytes > 0) this.#writer.windowUpdate(0, extraBytes);
    this.#flush();
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Bytes that wait for the peer. */
  get unsentBytes(): number {
    return this.#streams.scheduler.queuedBytes + this.#writer.backlogBytes;
  }

  get isWriting(): boolean {
    return this.#writer.isWriting;
  }

  get headerBlockSinceMs(): number | undefined {
    return this.#block.streamId === 0 ? undefined : this.#block.sinceMs;
  }

  get unfinishedFrame(): object | undefined {
    return this.#reader.unfinished;
  }

  /** Checks the times of the connection. */
  look(nowMs: number): void {
    this.#watch.look(this, nowMs);
  }

  /** Announces that no new streams are wanted, and ends the connection after the open ones. */
  drain(): void {
    if (this.#draining !== "no" || this.#isClosing) return;
    this.#draining = "announced";
    this.#writer.goaway(maxWindowBytes, errorCode.noError, "");
    this.#writer.ping(drainPayload, 0, false);
    this.#watch.drainAnnounced(this.#context.clock());
    this.#flush();
  }

  drainNoticed(): void {
    if (this.#draining !== "announced" || this.#isClosing) return;
    this.#draining = "final";
    this.#streams.refusesNew = true;
    this.#goaway(errorCode.noError, "");
    if (this.#streams.size === 0) this.#close();
    this.#flush();
  }

  /** Ends the open RPCs with a status and closes. */
  endAll(status: RpcEnd): void {
    if (this.#isClosing) return;
    this.#goaway(errorCode.noError, "");
    this.#streams.failAll(status);
    this.#close();
  }

  destroy(): void {
    this.#socket.destroy();
    this.#gone();
  }

  sendKeepalive(): void {
    this.#writer.ping(keepalivePayload, 0, false);
    this.#flush();
  }

  timedOut(what: "header-timeout" | "keepalive-timeout" | "write-stalled"): void {
    if (what === "header-timeout") {
      this.connectionError(errorCode.enhanceYourCalm, what, "too slow");
      return;
    }
    this.#context.violation(what);
    this.destroy();
  }

  // ---- what the streams ask for

  connectionError(code: number, violation: Http2Violation, text: string): void {
    if (this.#isClosing) return;
    this.#context.violation(violation);
    this.#goaway(code, text);
    this.#close(false);
  }

  idleFrame(): boolean {
    if (this.#guard.idleFrame()) return true;
    this.connectionError(errorCode.enhanceYourCalm, "idle-frame-flood", "too many frames without effect");
    return false;
  }

  flushSoon(): void {
    if (this.#isReading || this.#flushScheduled) return;
    this.#flushScheduled = true;
    process.nextTick(this.#flushLater);
  }

  allOver(): void {
    if (this.#draining === "final") this.#close();
  }

  // ---- frames

  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#mayCome(type)) return;
    switch (type) {
      case frameType.headers:
        this.#headersFrame(flags, streamId, bytes, start, end);
        return;
      case frameType.continuation:
        this.#continuationFrame(flags, streamId, bytes, start, end);
        return;
      case frameType.windowUpdate:
        this.#windowUpdateFrame(streamId, bytes, start, end);
        return;
      case frameType.rstStream:
        this.#resetFrame(streamId, end - start);
        return;
      case frameType.settings:
        this.#settingsFrame(flags, streamId, bytes, start, end);
        return;
      case frameType.ping:
        this.#pingFrame(flags, streamId, bytes, start, end);
        return;
      case frameType.priority:
        this.#priorityFrame(streamId, bytes, start, end);
        return;
      case frameType.goaway:
        if (streamId !== 0) this.#protocolError("GOAWAY on a stream");
        else if (end - start < 8) this.#wrongSize("GOAWAY");
        else this.idleFrame();
        return;
      case frameType.pushPromise:
        this.#protocolError("PUSH_PROMISE from a client");
        return;
      default:
        this.idleFrame();
    }
  }

  dataStart(flags: number, streamId: number, frameBytes: number): void {
    if (!this.#mayCome(frameType.data)) return;
    if (this.#window.take(frameBytes)) {
      this.#streams.dataStart((flags & frameFlag.endStream) !== 0, streamId, frameBytes);
    } else this.connectionError(errorCode.flowControlError, "connection-window", "more than the window allows");
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    this.#streams.dataBytes(bytes, start, end);
  }

  dataEnd(): void {
    this.#streams.dataEnd();
  }

  /** Whether a frame of this type may come at this point; the connection ends when not. */
  #mayCome(type: number): boolean {
    if (!this.isGreeted && type !== frameType.settings) {
      this.connectionError(errorCode.protocolError, "bad-preface", "first frame is not SETTINGS");
      return false;
    }
    if (this.#block.streamId !== 0 && type !== frameType.continuation) {
      this.#protocolError("frame inside a header block");
      return false;
    }
    return true;
  }

  #protocolError(text: string): void {
    this.connectionError(errorCode.protocolError, "frame-protocol", text);
  }

  #wrongSize(what: string): void {
    this.connectionError(errorCode.frameSizeError, "frame-size", `${what} of a wrong length`);
  }

  #headersFrame(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0 || (streamId & 1) === 0) {
      this.connectionError(errorCode.protocolError, "stream-id", `HEADERS on stream ${streamId}`);
      return;
    }
    const problem = this.#block.headers(flags, streamId, bytes, start, end);
    if (problem !== undefined) {
      if (problem === errorCode.frameSizeError) this.#wrongSize("HEADERS");
      else this.#protocolError("HEADERS with padding longer than its frame");
      return;
    }
    if ((flags & frameFlag.endHeaders) === 0) this.#block.keep(streamId, this.#context.clock());
    else this.#streams.headerBlock(streamId, this.#block);
  }

  #continuationFrame(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0 || streamId !== this.#block.streamId) {
      this.#protocolError("CONTINUATION without its HEADERS");
      return;
    }
    if (!this.#block.continuation(bytes, start, end)) {
      this.connectionError(errorCode.enhanceYourCalm, "continuation-flood", "header block too long");
      return;
    }
    if ((flags & frameFlag.endHeaders) === 0) return;
    this.#block.finish();
    this.#streams.headerBlock(streamId, this.#block);
  }

  #windowUpdateFrame(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) {
      this.#wrongSize("WINDOW_UPDATE");
      return;
    }
    const byteCount = bytes.readUInt32BE(start) & 0x7fffffff;
    if (streamId !== 0) this.#streams.windowUpdate(streamId, byteCount);
    else if (byteCount === 0) this.#protocolError("WINDOW_UPDATE of 0");
    else if (!this.#streams.scheduler.connectionWindow(byteCount)) {
      this.connectionError(errorCode.flowControlError, "connection-window", "window above 2^31-1");
    }
  }

  #resetFrame(streamId: number, byteCount: number): void {
    if (byteCount !== 4) this.#wrongSize("RST_STREAM");
    else this.#streams.resetByPeer(streamId);
  }

  #settingsFrame(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const isAck = (flags & frameFlag.ack) !== 0;
    if (streamId !== 0) this.#protocolError("SETTINGS on a stream");
    else if (isAck ? end !== start : (end - start) % 6 !== 0) this.#wrongSize("SETTINGS");
    else if (isAck) {
      if (!this.isGreeted) this.connectionError(errorCode.protocolError, "bad-preface", "first frame is not SETTINGS");
      else if (this.idleFrame()) this.#streams.areSettingsKnown = true;
    } else if (!this.#guard.settings()) {
      this.connectionError(errorCode.enhanceYourCalm, "settings-flood", "too many SETTINGS");
    } else this.#applySettings(readSettings(bytes, start, end));
  }

  #applySettings(settings: PeerSettings | number): void {
    if (typeof settings === "number") {
      this.connectionError(settings, "settings-value", "SETTINGS with an invalid value");
      return;
    }
    this.isGreeted = true;
    this.#writer.settingsAck();
    if (settings.maxFrameBytes !== undefined) this.#streams.scheduler.peerMaxFrameBytes = settings.maxFrameBytes;
    if (settings.initialWindowBytes !== undefined && !this.#streams.initialWindow(settings.initialWindowBytes)) {
      this.connectionError(errorCode.flowControlError, "settings-value", "window above 2^31-1");
    }
  }

  #pingFrame(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) this.#protocolError("PING on a stream");
    else if (end - start !== 8) this.#wrongSize("PING");
    else if (!this.#guard.ping()) this.connectionError(errorCode.enhanceYourCalm, "ping-flood", "too many PINGs");
    else if ((flags & frameFlag.ack) === 0) this.#writer.ping(bytes, start, true);
    else if (drainPayload.compare(bytes, start, end) === 0) this.drainNoticed();
  }

  #priorityFrame(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) {
      this.#protocolError("PRIORITY without a stream");
      return;
    }
    const isShort = end - start !== 5;
    if (!isShort && (bytes.readUInt32BE(start) & 0x7fffffff) !== streamId) {
      this.idleFrame();
      return;
    }
    const code = isShort ? errorCode.frameSizeError : errorCode.protocolError;
    // RST_STREAM may not be sent for a stream that was never opened.
    if (this.#streams.isIdle(streamId)) this.connectionError(code, "frame-protocol", "invalid PRIORITY");
    else this.#streams.streamError(streamId, code, "stream-protocol");
  }

  // ---- socket

  /** A later GOAWAY never names a later stream: the peer may have sent those it was told of elsewhere. */
  #goaway(code: number, text: string): void {
    this.#goawayId = Math.min(this.#goawayId, this.#streams.lastId);
    this.#writer.goaway(this.#goawayId, code, text);
  }

  #read(bytes: Buffer, end: number): void {
    if (this.#isClosing) return;
    this.#watch.read();
    this.#isReading = true;
    this.#reader.read(bytes, end);
    this.#isReading = false;
    this.#flush();
    if (this.#writer.backlogBytes > this.#context.limits.maxSocketBacklogBytes && !this.#isClosing) {
      this.isPaused = true;
      this.#socket.pause();
    }
  }

  /** The socket has taken a write. */
  #progressed(): void {
    this.#watch.written();
    if (this.#isClosing) return;
    if (this.isPaused) {
      if (this.#writer.backlogBytes >= this.#context.limits.maxSocketBacklogBytes / 2) return;
      this.isPaused = false;
      this.#socket.resume();
    }
    if (this.#streams.scheduler.queuedBytes === 0) return;
    this.#streams.scheduler.pump();
    this.#flush();
  }

  #flush(): void {
    const { scheduler } = this.#streams;
    if (scheduler.queuedBytes <= this.#context.limits.maxConnectionOutputBytes && !this.#isClosing) {
      const creditBytes = this.#window.credit();
      if (creditBytes > 0) this.#writer.windowUpdate(0, creditBytes);
    }
    this.#writer.flush();
  }

  /** Sends what is there, then closes. RPCs that are open are cancelled. A peer at fault has a moment only to take the rest. */
  #close(finishesWrites = true): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#reader.stopped = true;
    this.#streams.cancelAll();
    this.#writer.flush();
    this.#watch.closing(this.#context.clock(), finishesWrites);
    // What still comes is dropped, so that the peer gets to read our last frames.
    this.#socket.resume();
    this.#socket.end();
  }

  #gone(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isClosing = true;
    this.#reader.stopped = true;
    this.#streams.cancelAll();
    this.#context.connectionClosed(this);
  }
}
