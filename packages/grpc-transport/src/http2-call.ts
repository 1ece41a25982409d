import type { Deadline } from "./deadline-queue.ts";
import { GrpcMessageReader } from "./grpc-message-reader.ts";
import type { InflateBudget } from "./inflate-budget.ts";
import type { OutputQueue } from "./output-queue.ts";
import type { PartialMessages } from "./partial-messages.ts";
import { type RpcEnd, type RpcHandler, type RpcMethod, type RpcStream, rpcStatus } from "./rpc-transport.ts";
import type { StreamTable } from "./stream-table.ts";

const okEnd: RpcEnd = { code: rpcStatus.ok, message: "" };

/** One stream of a connection, and the RPC on it. */
export class Http2Call implements RpcStream, Deadline {
  readonly id: number;
  readonly #streams: StreamTable;
  #handler: RpcHandler | undefined;
  #reader: GrpcMessageReader | undefined;
  /** The RPC is over for the service: it ended it, or was told that it is over. */
  isOver = false;
  /** The service has sent something. */
  isAnswered = false;
  /** The peer has ended its side of the stream. */
  remoteEnded = false;
  /** Our side of the stream has ended. */
  localEnded = false;
  /** A stream that was answered without being gRPC: its body is read to the end, or to its deadline. */
  lingers = false;
  /** Bytes of the body that `content-length` announces and that have not come. */
  contentLeftBytes: number | undefined;

  /** What the peer may send before more is credited. */
  receiveWindowBytes: number;
  uncreditedBytes = 0;

  // What the send scheduler keeps of each stream.
  sendWindowBytes: number;
  queue: OutputQueue | undefined;
  ending: Buffer | "data" | undefined;
  nextReady: Http2Call | undefined;
  previousReady: Http2Call | undefined;

  deadlineMs = 0;
  deadlineSlot = -1;

  constructor(streams: StreamTable, id: number, receiveWindowBytes: number, sendWindowBytes: number) {
    this.#streams = streams;
    this.id = id;
    this.receiveWindowBytes = receiveWindowBytes;
    this.sendWindowBytes = sendWindowBytes;
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.queue === undefined ? 0 : this.queue.byteCount;
  }

  /** Hands the RPC to a method. `inflates` is there when messages may be compressed. */
  open(
    method: RpcMethod,
    maxReceiveBytes: number,
    inflates: InflateBudget | undefined,
    partials: PartialMessages,
  ): void {
    this.#reader = new GrpcMessageReader(maxReceiveBytes, inflates, partials);
    try {
      this.#handler = method(this);
    } catch (error) {
      this.#broken(error);
    }
  }

  send(slices: readonly Uint8Array[]): void {
    if (this.isOver) return;
    let length = 0;
    for (let at = 0; at < slices.length; at++) length += slices[at]!.length;
    this.#streams.sendMessage(this, slices, length);
    this.isAnswered = true;
  }

  end(status: RpcEnd = okEnd): void {
    if (this.isOver) return;
    this.#close();
    this.#streams.endCall(this, status, true);
  }

  /** The transport ends the RPC with a status. */
  fail(status: RpcEnd): void {
    if (this.isOver) return;
    this.#close();
    this.#streams.endCall(this, status, false);
    this.#tellCancelled(status.code);
  }

  /** The RPC is over and nothing more can be sent. */
  cancel(): void {
    if (this.isOver) return;
    this.#close();
    this.#tellCancelled(rpcStatus.cancelled);
  }

  /** Bytes of the request's body. */
  received(chunk: Buffer, start: number, end: number): void {
    const reader = this.#reader;
    let at = start;
    while (!this.isOver && reader !== undefined) {
      const message = reader.push(chunk, at, end);
      if (message === undefined) {
        if (reader.failure !== undefined) this.#streams.refuseMessage(this, reader.failure);
        return;
      }
      at += reader.used;
      try {
        this.#handler?.message(message);
      } catch (error) {
        this.#broken(error);
      }
      if (at === end) return;
    }
  }

  /** The peer ends its side. */
  remoteEnd(): void {
    this.remoteEnded = true;
    if (this.isOver) return;
    if (this.#reader?.isMidMessage === true) {
      this.#streams.refuseMessage(this, { code: rpcStatus.internal, message: "request ends inside a message" });
      return;
    }
    try {
      this.#handler?.halfClose();
    } catch (error) {
      this.#broken(error);
    }
  }

  deadlinePassed(): void {
    this.#streams.deadlinePassed(this);
  }

  /** Some of the queue has gone out. */
  outputMoved(): void {
    this.#streams.outputMoved(this);
  }

  /** The RPC is over; what has come of its next message is of no use. */
  #close(): void {
    this.isOver = true;
    this.#reader?.drop();
  }

  #tellCancelled(code: number): void {
    try {
      this.#handler?.cancelled(code);
    } catch (error) {
      this.#streams.handlerThrew(error);
    }
  }

  /** A handler threw: its RPC ends, which it hears of to let go of what it holds, and the others go on. */
  #broken(error: unknown): void {
    this.#streams.handlerThrew(error);
    if (this.isOver) return;
    this.#close();
    this.#streams.endCall(this, { code: rpcStatus.internal, message: "internal error" }, false);
    this.#tellCancelled(rpcStatus.internal);
  }
}
