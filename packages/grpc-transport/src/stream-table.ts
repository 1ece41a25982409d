import { CallTable } from "./call-table.ts";
import { ClosedStreams } from "./closed-streams.ts";
import type { FloodGuard } from "./flood-guard.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { plainAnswer, replyHeaders, replyTrailers, trailersOnly } from "./grpc-reply-blocks.ts";
import { parseGrpcTimeout } from "./grpc-timeout.ts";
import type { HeaderAssembly } from "./header-assembly.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { Http2Call } from "./http2-call.ts";
import type { ConnectionContext } from "./http2-connection.ts";
import { defaultWindowBytes, errorCode } from "./http2-protocol.ts";
import type { Http2Violation } from "./http2-violation.ts";
import { InflateBudget, inflateBudgetSpent } from "./inflate-budget.ts";
import { PartialMessages, partialMessagesFull } from "./partial-messages.ts";
import { RequestHead } from "./request-head.ts";
import { type RpcEnd, type RpcMethod, rpcStatus } from "./rpc-transport.ts";
import { SendScheduler } from "./send-scheduler.ts";

/** What the streams of a connection ask of it. */
export interface StreamHost {
  connectionError(code: number, violation: Http2Violation, text: string): void;
  /** Counts a frame without effect; false when the connection ends for it. */
  idleFrame(): boolean;
  /** Something was handed to the writer. */
  flushSoon(): void;
  /** The last open stream is over. */
  allOver(): void;
}

const tableBytes = 4096;
/** How long a stream that was answered without being gRPC may go on sending. */
const plainLingerMs = 10_000;

/** The streams of one connection: how they open, receive, send and end. */
export class StreamTable {
  readonly #context: ConnectionContext;
  readonly #host: StreamHost;
  readonly #writer: FrameWriter;
  readonly #guard: FloodGuard;
  readonly #hpack: HpackDecoder;
  readonly #head = new RequestHead();
  readonly #calls = new CallTable();
  readonly #closed = new ClosedStreams();
  readonly #partials: PartialMessages;
  /** Made for the first request with `grpc-encoding: gzip`. */
  #inflates: InflateBudget | undefined;
  readonly scheduler: SendScheduler;
  /** The highest stream that the peer has opened. */
  lastId = 0;
  /** The peer has acknowledged our SETTINGS; until then it may send what the protocol allows without them. */
  areSettingsKnown = false;
  /** Set to refuse new streams. */
  refusesNew = false;
  /** The call of the DATA frame that is being read; undefined to drop its bytes. */
  #dataCall: Http2Call | undefined;
  #dataEnds = false;
  /** The DATA frame that is being read has bytes beside padding, or is counted as one without. */
  #dataCounts = false;

  constructor(context: ConnectionContext, host: StreamHost, writer: FrameWriter, guard: FloodGuard) {
    const { maxSocketBacklogBytes, maxHeaderListBytes, maxPartialMessageBytes } = context.limits;
    this.#context = context;
    this.#host = host;
    this.#writer = writer;
    this.#guard = guard;
    this.#hpack = new HpackDecoder(tableBytes, maxHeaderListBytes);
    this.#partials = new PartialMessages(Math.max(maxPartialMessageBytes, context.maxReceiveBytes));
    this.scheduler = new SendScheduler(writer, maxSocketBacklogBytes, (call) => this.#allSent(call));
  }

  get size(): number {
    return this.#calls.size;
  }

  isIdle(streamId: number): boolean {
    return streamId > this.lastId || (streamId & 1) === 0;
  }

  /** Ends every RPC with a status. */
  failAll(status: RpcEnd): void {
    for (const call of this.#calls.values()) call.fail(status);
  }

  /** The peer's new window for streams; false when it makes one too large. */
  initialWindow(byteCount: number): boolean {
    return this.scheduler.initialWindow(byteCount, this.#calls.inAnyOrder());
  }

  /** The connection is over. */
  cancelAll(): void {
    const calls = this.#calls.values();
    this.#calls.clear();
    for (const call of calls) {
      this.scheduler.forget(call);
      this.#context.deadlines.remove(call);
      call.cancel();
    }
  }

  // ---- what calls ask for

  sendMessage(call: Http2Call, slices: readonly Uint8Array[], length: number): void {
    if (length > this.#context.maxSendBytes) {
      const message = `reply of ${length} bytes is larger than the limit of ${this.#context.maxSendBytes}`;
      call.fail({ code: rpcStatus.resourceExhausted, message });
      return;
    }
    if (!call.isAnswered) this.#writer.headers(call.id, replyHeaders, false);
    this.scheduler.message(call, slices, length);
    if (this.scheduler.queuedBytes > this.#context.limits.maxUnsentBytes) {
      this.streamError(call.id, errorCode.enhanceYourCalm, "output-overflow");
    }
    this.#host.flushSoon();
  }

  /** Sends the status after what is queued. */
  endCall(call: Http2Call, status: RpcEnd, byService: boolean): void {
    this.#guard.finished(byService);
    this.scheduler.end(call, call.isAnswered ? replyTrailers(status) : trailersOnly(status));
    this.#host.flushSoon();
  }

  refuseMessage(call: Http2Call, status: RpcEnd): void {
    const isSize = status.code === rpcStatus.resourceExhausted;
    const violation = isSize ? "message-size" : "message-malformed";
    if (status === partialMessagesFull) this.#context.violation("partial-messages");
    else this.#context.violation(status === inflateBudgetSpent ? "inflate-flood" : violation);
    call.fail(status);
  }

  deadlinePassed(call: Http2Call): void {
    // A call that is over waits for its peer, either to read or to end.
    if (call.isOver) this.#resetCall(call, call.localEnded ? errorCode.noError : errorCode.cancel);
    else call.fail({ code: rpcStatus.deadlineExceeded, message: "deadline exceeded" });
    this.#host.flushSoon();
  }

  outputMoved(call: Http2Call): void {
    this.#credit(call);
  }

  handlerThrew(error: unknown): void {
    this.#context.handlerThrew(error);
  }

  // ---- frames

  /** A whole header block: a request, or the trailers of one. */
  headerBlock(streamId: number, block: HeaderAssembly): void {
    const head = this.#head;
    const call = this.#calls.get(streamId);
    head.start(streamId <= this.lastId);
    const problem = this.#hpack.decode(block.bytes, block.start, block.end, head);
    if (problem !== undefined) {
      this.#host.connectionError(errorCode.compressionError, "header-compression", problem);
      return;
    }
    head.finish();
    if (call !== undefined) this.#trailers(call, block);
    else if (streamId <= this.lastId) this.#headersWithoutCall(streamId);
    else {
      this.lastId = streamId;
      this.#request(streamId, block);
    }
  }

  #trailers(call: Http2Call, block: HeaderAssembly): void {
    if (call.remoteEnded) this.streamError(call.id, errorCode.streamClosed, "stream-closed");
    else if (!block.endStream || this.#head.problem !== "" || block.selfDependent) {
      this.streamError(call.id, errorCode.protocolError, "malformed-request");
    } else this.#remoteEnd(call);
  }

  /** HEADERS of a stream that is over, or that was skipped. */
  #headersWithoutCall(streamId: number): void {
    const how = this.#closed.get(streamId);
    if (how === "our-reset") this.#host.idleFrame();
    else if (how === "peer-reset") this.streamError(streamId, errorCode.streamClosed, "stream-closed");
    else if (how === "done") {
      this.#host.connectionError(errorCode.streamClosed, "closed-stream", `HEADERS on closed stream ${streamId}`);
    } else this.#host.connectionError(errorCode.protocolError, "stream-id", `stream ${streamId} after a later one`);
  }

  #request(streamId: number, block: HeaderAssembly): void {
    const head = this.#head;
    const { limits, methods, maxReceiveBytes } = this.#context;
    if (this.refusesNew) {
      this.#refuse(streamId);
      this.#countReset();
      return;
    }
    if (this.#calls.size >= limits.maxConcurrentStreams) {
      this.streamError(streamId, errorCode.refusedStream, "too-many-streams");
      return;
    }
    const lacksBody = block.endStream && head.contentLengthBytes !== undefined && head.contentLengthBytes > 0;
    if (!this.#hpack.tooLarge && (head.problem !== "" || block.selfDependent || lacksBody)) {
      this.streamError(streamId, errorCode.protocolError, "malformed-request");
      return;
    }
    const windowBytes = this.areSettingsKnown
      ? limits.streamWindowBytes
      : Math.max(limits.streamWindowBytes, defaultWindowBytes);
    const call = new Http2Call(this, streamId, windowBytes, this.scheduler.initialWindowBytes);
    this.#calls.add(call);
    call.contentLeftBytes = head.contentLengthBytes;
    call.remoteEnded = block.endStream;
    if (this.#hpack.tooLarge) {
      this.#context.violation("header-list-size");
      const message = `request headers are larger than the limit of ${limits.maxHeaderListBytes} bytes`;
      call.fail({ code: rpcStatus.resourceExhausted, message });
    } else if (head.method !== "POST" || !isGrpc(head.contentType)) this.#answerPlain(call);
    else this.#open(call, methods.get(head.path ?? ""), maxReceiveBytes);
    if (block.endStream && this.#calls.has(streamId)) this.#remoteEnd(call);
  }

  #open(call: Http2Call, method: RpcMethod | undefined, maxReceiveBytes: number): void {
    const { path, encoding, timeout } = this.#head;
    if (method === undefined) {
      call.fail({ code: rpcStatus.unimplemented, message: `unknown method ${path}` });
      return;
    }
    if (encoding !== "" && encoding !== "identity" && encoding !== "gzip") {
      call.fail({ code: rpcStatus.unimplemented, message: `grpc-encoding ${encoding} is not supported` });
      return;
    }
    if (timeout !== undefined) {
      const timeoutMs = parseGrpcTimeout(timeout);
      if (timeoutMs === undefined) {
        call.fail({ code: rpcStatus.internal, message: `malformed grpc-timeout ${timeout}` });
        return;
      }
      this.#setDeadline(call, timeoutMs);
    }
    call.open(method, maxReceiveBytes, encoding === "gzip" ? this.#inflateBudget() : undefined, this.#partials);
  }

  #inflateBudget(): InflateBudget {
    const { limits, maxReceiveBytes, clock } = this.#context;
    const burstBytes = Math.max(limits.inflateBurstBytes, maxReceiveBytes);
    this.#inflates ??= new InflateBudget(burstBytes, limits.inflateBytesPerSecond, clock);
    return this.#inflates;
  }

  /** Answers a request that is not gRPC. Its body is dropped, and checked, until it ends or its time is up. */
  #answerPlain(call: Http2Call): void {
    this.#context.violation("not-grpc");
    const answer =
      this.#head.method === "POST"
        ? plainAnswer(415, "gRPC requests have a content-type that begins with application/grpc.")
        : plainAnswer(405, "This is a gRPC server: requests use POST.");
    call.isOver = true;
    call.lingers = true;
    this.#setDeadline(call, plainLingerMs);
    this.#writer.headers(call.id, answer.block, false);
    // An answer to HEAD has no content, only its length.
    if (this.#head.method !== "HEAD") this.scheduler.raw(call, answer.body);
    this.scheduler.end(call, "data");
  }

  #setDeadline(call: Http2Call, delayMs: number): void {
    call.deadlineMs = this.#context.clock() + delayMs;
    this.#context.deadlines.add(call);
  }

  #dataWithoutCall(streamId: number, frameBytes: number): void {
    if (this.isIdle(streamId)) {
      this.#host.connectionError(errorCode.protocolError, "stream-id", `DATA on stream ${streamId}, which is not open`);
      return;
    }
    const how = this.#closed.get(streamId);
    if (how === "done") {
      this.#host.connectionError(errorCode.streamClosed, "closed-stream", `DATA on closed stream ${streamId}`);
    } else if (how !== "our-reset") this.streamError(streamId, errorCode.streamClosed, "stream-closed");
    // What the peer sends until it hears of the reset may be as many messages as the window takes: no fault of its.
    else if (frameBytes === 0) this.#host.idleFrame();
  }

  /** A DATA frame that the connection's window allows begins. */
  dataStart(endStream: boolean, streamId: number, frameBytes: number): void {
    this.#dataCall = undefined;
    this.#dataEnds = endStream;
    this.#dataCounts = frameBytes === 0;
    if (frameBytes === 0 && !this.#dataEnds && !this.#host.idleFrame()) return;
    const call = this.#calls.get(streamId);
    if (call === undefined) {
      this.#dataWithoutCall(streamId, frameBytes);
      return;
    }
    if (call.remoteEnded) {
      this.streamError(streamId, errorCode.streamClosed, "stream-closed");
      return;
    }
    call.receiveWindowBytes -= frameBytes;
    if (call.receiveWindowBytes < 0) {
      this.streamError(streamId, errorCode.flowControlError, "stream-window");
      return;
    }
    call.uncreditedBytes += frameBytes;
    this.#dataCall = call;
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    const call = this.#dataCall;
    if (call === undefined) return;
    this.#dataCounts = true;
    if (call.contentLeftBytes !== undefined) {
      call.contentLeftBytes -= end - start;
      if (call.contentLeftBytes < 0) {
        this.streamError(call.id, errorCode.protocolError, "content-length");
        return;
      }
    }
    call.received(bytes, start, end);
  }

  dataEnd(): void {
    const call = this.#dataCall;
    this.#dataCall = undefined;
    if (call === undefined || !this.#calls.has(call.id)) return;
    // A frame of padding is as idle as an empty one.
    if (!this.#dataCounts && !this.#dataEnds && !this.#host.idleFrame()) return;
    if (this.#dataEnds) this.#remoteEnd(call);
    else this.#credit(call);
  }

  windowUpdate(streamId: number, byteCount: number): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) {
      if (this.isIdle(streamId)) {
        this.#host.connectionError(errorCode.protocolError, "stream-id", `WINDOW_UPDATE on idle stream ${streamId}`);
      } else this.#host.idleFrame();
    } else if (byteCount === 0) this.streamError(streamId, errorCode.protocolError, "stream-protocol");
    else if (!this.scheduler.streamWindow(call, byteCount)) {
      this.streamError(streamId, errorCode.flowControlError, "stream-window");
    }
  }

  /** The peer resets a stream. */
  resetByPeer(streamId: number): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) {
      if (this.isIdle(streamId)) {
        this.#host.connectionError(errorCode.protocolError, "stream-id", `RST_STREAM on idle stream ${streamId}`);
      } else this.#host.idleFrame();
      return;
    }
    const wasWaste = !call.isAnswered && !call.isOver;
    this.#remove(call, "peer-reset");
    call.cancel();
    if (wasWaste) this.#countReset();
  }

  // ---- ends

  #remoteEnd(call: Http2Call): void {
    if (call.contentLeftBytes !== undefined && call.contentLeftBytes !== 0) {
      this.streamError(call.id, errorCode.protocolError, "content-length");
      return;
    }
    call.remoteEnd();
    if (call.localEnded && this.#calls.has(call.id)) this.#remove(call, "done");
  }

  /** Our side of a stream has ended. */
  #allSent(call: Http2Call): void {
    call.localEnded = true;
    const remoteEnded = call.remoteEnded || (this.#dataCall === call && this.#dataEnds && !call.lingers);
    if (remoteEnded) this.#remove(call, "done");
    else if (!call.lingers) this.#resetCall(call, errorCode.noError);
  }

  #resetCall(call: Http2Call, code: number): void {
    this.#writer.reset(call.id, code);
    this.#remove(call, "our-reset");
  }

  /** Ends one stream for a fault of the peer. */
  streamError(streamId: number, code: number, violation: Http2Violation): void {
    this.#context.violation(violation);
    const call = this.#calls.get(streamId);
    if (call === undefined) this.#refuse(streamId, code);
    else {
      this.#resetCall(call, code);
      call.cancel();
    }
    this.#countReset();
  }

  #refuse(streamId: number, code: number = errorCode.refusedStream): void {
    this.#writer.reset(streamId, code);
    this.#closed.add(streamId, "our-reset");
  }

  #countReset(): void {
    if (!this.#guard.reset()) this.#host.connectionError(errorCode.enhanceYourCalm, "reset-flood", "too many resets");
  }

  #remove(call: Http2Call, how: "done" | "peer-reset" | "our-reset"): void {
    this.#calls.delete(call.id);
    this.#closed.add(call.id, how);
    this.scheduler.forget(call);
    this.#context.deadlines.remove(call);
    if (this.#dataCall === call) this.#dataCall = undefined;
    if (this.#calls.size === 0) this.#host.allOver();
  }

  /** Renews the stream's receive window, unless the peer lets too much of the stream's output wait. */
  #credit(call: Http2Call): void {
    const { streamWindowBytes, maxStreamOutputBytes } = this.#context.limits;
    if (call.uncreditedBytes < streamWindowBytes / 2 || call.lingers || call.remoteEnded) return;
    if (call.queuedBytes > maxStreamOutputBytes) return;
    this.#writer.windowUpdate(call.id, call.uncreditedBytes);
    call.receiveWindowBytes += call.uncreditedBytes;
    call.uncreditedBytes = 0;
  }
}

/** Whether a content type is gRPC's. */
function isGrpc(contentType: string): boolean {
  if (!contentType.startsWith("application/grpc")) return false;
  const next = contentType.charCodeAt("application/grpc".length);
  return Number.isNaN(next) || next === 0x2b || next === 0x3b;
}
