import { connect, type Socket } from "node:net";
import { HpackDecoder } from "../src/hpack-decoder.ts";
import { encodeHeaderBlock } from "../src/hpack-encoder.ts";
import { clientPreface, frameFlag, frameType } from "../src/http2-protocol.ts";

/** One frame as it was received. */
export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** The decoded fields of a HEADERS frame. */
  readonly fields: Readonly<Record<string, string>>;
}

/** The bytes of one frame. */
export function frameBytes(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The bytes of one gRPC message. */
export function grpcMessage(body: Uint8Array, flag = 0): Buffer {
  return Buffer.concat([Buffer.from([flag]), number32(body.length), body]);
}

export const emptySettings: Buffer = frameBytes(frameType.settings, 0, 0);

export function settingsBytes(pairs: Readonly<Record<number, number>>): Buffer {
  const payload = Object.entries(pairs).map(([id, value]) => {
    const pair = Buffer.alloc(6);
    pair.writeUInt16BE(Number(id));
    pair.writeUInt32BE(value, 2);
    return pair;
  });
  return frameBytes(frameType.settings, 0, 0, Buffer.concat(payload));
}

export function requestBlock(path: string, extra: readonly (readonly [string, string])[] = []): Buffer {
  return encodeHeaderBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "test"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...extra,
  ]);
}

export function headersBytes(streamId: number, block: Uint8Array, endStream = false): Buffer {
  return frameBytes(frameType.headers, frameFlag.endHeaders | (endStream ? frameFlag.endStream : 0), streamId, block);
}

export function dataBytes(streamId: number, payload: Uint8Array, endStream = false): Buffer {
  return frameBytes(frameType.data, endStream ? frameFlag.endStream : 0, streamId, payload);
}

/** A client that sends any bytes and shows the frames that come back. */
export class RawHttp2Client {
  readonly frames: RawFrame[] = [];
  readonly #socket: Socket;
  readonly #hpack = new HpackDecoder(4096, 1_000_000);
  #rest: Buffer = Buffer.alloc(0);
  #waiting: (() => void)[] = [];
  isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  /** Connects; sends preface and SETTINGS unless told otherwise. */
  static async open(port: number, options: { greeting?: Buffer; socket?: Socket } = {}): Promise<RawHttp2Client> {
    const socket = options.socket ?? connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    const client = new RawHttp2Client(socket);
    if (socket.connecting) await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    const greeting = options.greeting ?? Buffer.concat([clientPreface, emptySettings]);
    if (greeting.length > 0) client.send(greeting);
    return client;
  }

  send(...pieces: readonly Uint8Array[]): void {
    if (!this.#socket.destroyed) this.#socket.write(Buffer.concat(pieces));
  }

  /** Stops and resumes reading, as a slow peer does. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Bytes that the server does not take. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Waits until the frames that came satisfy a condition; fails when the connection closes before. */
  async until(what: string, condition: (frames: readonly RawFrame[]) => boolean): Promise<readonly RawFrame[]> {
    while (!condition(this.frames)) {
      if (this.isClosed) throw new Error(`closed before: ${what}; frames: ${JSON.stringify(this.summary())}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.frames;
  }

  /** The first frame of a type on a stream. */
  async frame(type: number, streamId?: number): Promise<RawFrame> {
    const isWanted = (frame: RawFrame): boolean =>
      frame.type === type && (streamId === undefined || frame.streamId === streamId) && !isSettingsAck(frame);
    return (await this.until(`frame ${type} of stream ${streamId}`, (all) => all.some(isWanted))).find(isWanted)!;
  }

  async closed(): Promise<void> {
    while (!this.isClosed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The error code of the GOAWAY that ends the connection, after it has closed. */
  async goawayCode(): Promise<number> {
    const goaway = await this.frame(frameType.goaway);
    await this.closed();
    return goaway.payload.readUInt32BE(4);
  }

  async resetCode(streamId: number): Promise<number> {
    return (await this.frame(frameType.rstStream, streamId)).payload.readUInt32BE(0);
  }

  /** The fields of the HEADERS frame that ends a stream. */
  async trailers(streamId: number): Promise<Readonly<Record<string, string>>> {
    const isEnd = (frame: RawFrame): boolean =>
      frame.type === frameType.headers && frame.streamId === streamId && (frame.flags & frameFlag.endStream) !== 0;
    return (await this.until(`trailers of stream ${streamId}`, (all) => all.some(isEnd))).find(isEnd)!.fields;
  }

  /** All DATA of a stream so far. */
  data(streamId: number): Buffer {
    return Buffer.concat(
      this.frames
        .filter((frame) => frame.type === frameType.data && frame.streamId === streamId)
        .map((frame) => frame.payload),
    );
  }

  /** Sends a PING and waits for its answer: what was sent before has been handled then. */
  async settle(label = "settled!"): Promise<void> {
    const payload = Buffer.from(label.padEnd(8).slice(0, 8));
    const count = this.frames.filter((frame) => frame.type === frameType.ping && frame.payload.equals(payload)).length;
    this.send(frameBytes(frameType.ping, 0, 0, payload));
    await this.until(
      "PING answer",
      (all) => all.filter((frame) => frame.type === frameType.ping && frame.payload.equals(payload)).length > count,
    );
  }

  summary(): readonly string[] {
    return this.frames.map((frame) => `${frame.type}/${frame.flags}/${frame.streamId}/${frame.payload.length}`);
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 9) {
      const length = bytes.readUIntBE(0, 3);
      if (bytes.length < 9 + length) break;
      const type = bytes[3]!;
      const payload = bytes.subarray(9, 9 + length);
      const fields: Record<string, string> = {};
      if (type === frameType.headers) {
        const problem = this.#hpack.decode(payload, 0, payload.length, {
          field: (name, value) => {
            fields[name] = value;
          },
        });
        if (problem !== undefined) throw new Error(`server sent a bad header block: ${problem}`);
      }
      this.frames.push({ type, flags: bytes[4]!, streamId: bytes.readUInt32BE(5), payload, fields });
      bytes = bytes.subarray(9 + length);
    }
    this.#rest = bytes;
    this.#wake();
  }

  #wake(): void {
    for (const run of this.#waiting.splice(0)) run();
  }
}

function isSettingsAck(frame: RawFrame): boolean {
  return frame.type === frameType.settings && (frame.flags & frameFlag.ack) !== 0;
}
