import { Headers } from "@pointsman/core";
import { allocateBlock, blockHeadBytes } from "./body-block.ts";
import { isConnectionField, listedByConnection, parseField } from "./header-fields.ts";

/** A response's first part: status and headers without those of the connection. */
export interface ResponseHead {
  readonly status: number;
  /** With `:status` first. */
  readonly headers: Headers;
}

/** Takes a response in parts, in the order head, body, trailers. The part with `complete`, or the trailers, end it. */
export interface ResponseConsumer {
  answerHead(head: ResponseHead, complete: boolean): void;
  /**
   * All body bytes of one read: `block` from `start` to `end`, possibly none. The block is the consumer's, with
   * `blockHeadBytes` free in front and `blockTailBytes` behind.
   */
  answerBody(block: Buffer, start: number, end: number, complete: boolean): void;
  answerTrailers(trailers: readonly (readonly [name: string, value: string])[]): void;
}

const head = 0;
const fixedLength = 1;
const untilClose = 2;
const chunkSize = 3;
const chunkExtension = 4;
const chunkSizeEnd = 5;
const chunkData = 6;
const chunkDataEnd = 7;
const chunkDataLineEnd = 8;
const trailers = 9;
const done = 10;

const headEnd = Buffer.from("\r\n\r\n");
const protocol = "HTTP/1.";
const protocolBytes = Buffer.from(protocol);
const statusLine = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?: .*)?$/;
const noStatusLine = "its status line is not that of HTTP/1.1";
const maxChunkSizeDigits = 12;
const maxChunkExtensionBytes = 1024;

/**
 * Reads HTTP/1.1 responses off a connection, strictly: what a server sends against the standard ends the response with
 * a problem, never with a guess. Body bytes are copied out, once; chunk framing is taken away.
 */
export class ResponseDecoder {
  readonly #maxHeaderBytes: number;
  #state = head;
  #toHead = false;
  #held: Buffer | undefined;
  #heldBytes = 0;
  #left = 0;
  #digits = 0;
  #lineBytes = 0;
  #line = "";
  #trailers: (readonly [string, string])[] = [];
  /** A byte of the response has arrived. */
  started = false;
  /** The head of the final response has arrived. */
  headRead = false;
  /** After the response, the connection can take another request. */
  reusable = false;
  /** From `Keep-Alive: timeout=`: how long the server keeps an idle connection, milliseconds. */
  keepAliveHintMs: number | undefined;

  constructor(maxHeaderBytes: number) {
    this.#maxHeaderBytes = maxHeaderBytes;
  }

  get complete(): boolean {
    return this.#state === done;
  }

  /** Prepares for the next response. `toHead`: the request is a HEAD, so no body follows. */
  begin(toHead: boolean): void {
    this.#state = head;
    this.#toHead = toHead;
    this.#held = undefined;
    this.#heldBytes = 0;
    this.#trailers = [];
    this.started = false;
    this.headRead = false;
    this.reusable = false;
    this.keepAliveHintMs = undefined;
  }

  /** Takes the first `length` bytes of `bytes`, which may be overwritten afterwards. Returns what is wrong with them. */
  feed(bytes: Buffer, length: number, consumer: ResponseConsumer): string | undefined {
    if (length === 0) return undefined;
    this.started = true;
    let at = 0;
    while (this.#state === head) {
      const end = this.#findHeadEnd(bytes, at, length);
      if (end === undefined) {
        if (this.#isOtherProtocol() || this.#firstLineIsLoose()) return noStatusLine;
        // The last bytes that are held may be the first ones of the empty line.
        const headBytes = this.#heldBytes - headEnd.length + 1;
        return headBytes > this.#maxHeaderBytes ? `headers exceed ${this.#maxHeaderBytes} bytes` : undefined;
      }
      const text = this.#headText(bytes, at, end);
      if (!text.startsWith(protocol)) return noStatusLine;
      const lineEnd = text.indexOf("\n");
      if (lineEnd !== -1 && lineEnd < this.#maxHeaderBytes && text.charCodeAt(lineEnd - 1) !== 13) return noStatusLine;
      if (text.length > this.#maxHeaderBytes) return `headers exceed ${this.#maxHeaderBytes} bytes`;
      at = end;
      const problem = this.#readHead(text, consumer);
      if (problem !== undefined) return problem;
    }
    return this.#feedBody(bytes, at, length, consumer);
  }

  /** The server has closed its side. Returns what is missing. */
  finish(consumer: ResponseConsumer): string | undefined {
    if (this.#state === done) return undefined;
    if (this.#state === untilClose) {
      this.#state = done;
      consumer.answerBody(allocateBlock(0), blockHeadBytes, blockHeadBytes, true);
      return undefined;
    }
    return this.headRead ? "closed the connection within the body" : "closed the connection before it answered";
  }

  #feedBody(bytes: Buffer, from: number, length: number, consumer: ResponseConsumer): string | undefined {
    let at = from;
    if (this.#state === fixedLength) {
      const taken = Math.min(this.#left, length - at);
      if (taken === 0) return undefined;
      this.#left -= taken;
      if (this.#left === 0) this.#end(at + taken < length);
      this.#pass(bytes, at, taken, consumer, this.#left === 0);
      return undefined;
    }
    if (this.#state === untilClose) {
      if (at < length) this.#pass(bytes, at, length - at, consumer, false);
      return undefined;
    }
    if (this.#state === done) {
      if (at < length) this.reusable = false;
      return undefined;
    }
    let block: Buffer | undefined;
    let filled = blockHeadBytes;
    while (at < length && this.#state !== done) {
      if (this.#state === chunkData) {
        const taken = Math.min(this.#left, length - at);
        block ??= allocateBlock(length - at);
        bytes.copy(block, filled, at, at + taken);
        filled += taken;
        at += taken;
        this.#left -= taken;
        if (this.#left === 0) this.#state = chunkDataEnd;
        continue;
      }
      const problem = this.#chunkByte(bytes[at++]!);
      if (problem !== undefined) return problem;
    }
    const complete = this.complete;
    if (complete && at < length) this.reusable = false;
    const withTrailers = complete && this.#trailers.length > 0;
    if (filled > blockHeadBytes || (complete && !withTrailers)) {
      consumer.answerBody(block ?? allocateBlock(0), blockHeadBytes, filled, complete && !withTrailers);
    }
    if (withTrailers) consumer.answerTrailers(this.#trailers);
    return undefined;
  }

  #pass(bytes: Buffer, at: number, length: number, consumer: ResponseConsumer, complete: boolean): void {
    const block = allocateBlock(length);
    bytes.copy(block, blockHeadBytes, at, at + length);
    consumer.answerBody(block, blockHeadBytes, blockHeadBytes + length, complete);
  }

  #end(bytesFollow: boolean): void {
    this.#state = done;
    if (bytesFollow) this.reusable = false;
  }

  /** Position behind the empty line, or `undefined` after keeping what there is. */
  #findHeadEnd(bytes: Buffer, at: number, length: number): number | undefined {
    if (this.#held === undefined) {
      const found = bytes.subarray(at, length).indexOf(headEnd);
      if (found !== -1) return at + found + headEnd.length;
    }
    const before = this.#heldBytes;
    const needed = before + length - at;
    if (this.#held === undefined || this.#held.length < needed) {
      const larger = Buffer.allocUnsafe(Math.max(1024, needed * 2));
      this.#held?.copy(larger, 0, 0, before);
      this.#held = larger;
    }
    bytes.copy(this.#held, before, at, length);
    this.#heldBytes = needed;
    const from = Math.max(0, before - headEnd.length + 1);
    const found = this.#held.subarray(from, needed).indexOf(headEnd);
    if (found === -1) return undefined;
    return at + from + found + headEnd.length - before;
  }

  /** The first bytes of what is held begin no response, so that waiting for the end of its head would be in vain. */
  #isOtherProtocol(): boolean {
    const bytes = Math.min(this.#heldBytes, protocolBytes.length);
    return this.#held?.compare(protocolBytes, 0, bytes, 0, bytes) !== 0;
  }

  /**
   * The first line of what is held ends with a line feed alone, so no empty line may ever follow. A whole head is looked at
   * in the same way, so that a response has the same fault however it is cut.
   */
  #firstLineIsLoose(): boolean {
    const end = this.#held?.subarray(0, this.#heldBytes).indexOf(10) ?? -1;
    return end !== -1 && end < this.#maxHeaderBytes && this.#held?.[end - 1] !== 13;
  }

  /** The head without its empty line; `end` is where it ends in `bytes`. */
  #headText(bytes: Buffer, at: number, end: number): string {
    if (this.#held === undefined) return bytes.toString("latin1", at, end - headEnd.length);
    const text = this.#held.toString("latin1", 0, this.#heldBytes).split("\r\n\r\n", 1)[0]!;
    this.#held = undefined;
    this.#heldBytes = 0;
    return text;
  }

  #readHead(text: string, consumer: ResponseConsumer): string | undefined {
    const lines = text.split("\r\n");
    const start = statusLine.exec(lines[0]!);
    if (start === null) return noStatusLine;
    const minor = start[1] === "1" ? 1 : 0;
    const status = Number(start[2]);
    const names: string[] = [];
    const values: string[] = [];
    let length: string | undefined;
    let coding: string | undefined;
    let connection: string | undefined;
    for (let i = 1; i < lines.length; i++) {
      const field = parseField(lines[i]!);
      if (typeof field === "string") return field;
      const [name, value] = field;
      if (name === "content-length") {
        if (length !== undefined && length !== value) return "it has two different content lengths";
        if (length === undefined) {
          names.push(name);
          values.push(value);
        }
        length = value;
      } else if (name === "transfer-encoding") coding = coding === undefined ? value : `${coding}, ${value}`;
      else if (name === "connection") connection = connection === undefined ? value : `${connection}, ${value}`;
      else if (name !== "trailer") {
        // What is announced may not come, and then the body that is sent on has a length, which allows no announcement.
        names.push(name);
        values.push(value);
      }
    }
    if (status < 200) return status === 101 ? "it switched to another protocol" : undefined;
    const framing = this.#chooseFraming(status, minor, length, coding);
    if (framing !== undefined) return framing;

    const closes =
      connection
        ?.toLowerCase()
        .split(",")
        .some((entry) => entry.trim() === "close") === true;
    const keeps = minor === 1 || connection?.toLowerCase().includes("keep-alive") === true;
    this.reusable = keeps && !closes && this.#state !== untilClose;
    this.headRead = true;
    const listed = listedByConnection(connection);
    const headers = new Headers();
    headers.append(":status", start[2]!);
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      if (name === "keep-alive") this.keepAliveHintMs = keepAliveMs(values[i]!);
      if (!isConnectionField(name, listed)) headers.append(name, values[i]!);
    }
    consumer.answerHead({ status, headers }, this.complete);
    return undefined;
  }

  /** Decides how the body ends. */
  #chooseFraming(
    status: number,
    minor: number,
    length: string | undefined,
    coding: string | undefined,
  ): string | undefined {
    if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) return "its content length is not a number";
    if (coding !== undefined) {
      if (length !== undefined) return "it has both a content length and a transfer coding";
      if (minor === 0) return "it has a transfer coding, which HTTP/1.0 does not know";
      if (coding.toLowerCase() !== "chunked") return "its transfer coding is not chunked";
    }
    if (this.#toHead || status === 204 || status === 304) this.#state = done;
    else if (coding !== undefined) {
      this.#state = chunkSize;
      this.#startChunk();
    } else if (length !== undefined) {
      this.#left = Number(length);
      this.#state = this.#left === 0 ? done : fixedLength;
    } else this.#state = untilClose;
    return undefined;
  }

  #startChunk(): void {
    this.#left = 0;
    this.#digits = 0;
    this.#lineBytes = 0;
    this.#line = "";
  }

  /** Takes one byte of chunk framing. */
  #chunkByte(byte: number): string | undefined {
    switch (this.#state) {
      case chunkSize: {
        const digit = hexDigit(byte);
        if (digit !== undefined) {
          this.#left = this.#left * 16 + digit;
          return ++this.#digits > maxChunkSizeDigits ? "a chunk size is too large" : undefined;
        }
        if (this.#digits === 0) return "a chunk has no size";
        if (byte === 13) this.#state = chunkSizeEnd;
        else if (byte === 59 || byte === 32 || byte === 9) this.#state = chunkExtension;
        else return "a chunk size is not hexadecimal";
        return undefined;
      }
      case chunkExtension:
        if (byte === 13) this.#state = chunkSizeEnd;
        else if (byte === 10) return "a chunk size line ends without a carriage return";
        else if (++this.#lineBytes > maxChunkExtensionBytes) return "a chunk extension is too long";
        return undefined;
      case chunkSizeEnd:
        if (byte !== 10) return "a chunk size line does not end";
        this.#state = this.#left === 0 ? trailers : chunkData;
        this.#lineBytes = 0;
        return undefined;
      case chunkDataEnd:
        if (byte !== 13) return "a chunk is longer than its size";
        this.#state = chunkDataLineEnd;
        return undefined;
      case chunkDataLineEnd:
        if (byte !== 10) return "a chunk does not end with a line end";
        this.#state = chunkSize;
        this.#startChunk();
        return undefined;
      default:
        return this.#trailerByte(byte);
    }
  }

  #trailerByte(byte: number): string | undefined {
    if (++this.#lineBytes > this.#maxHeaderBytes) return `trailers exceed ${this.#maxHeaderBytes} bytes`;
    if (byte !== 10) {
      this.#line += String.fromCharCode(byte);
      return undefined;
    }
    if (!this.#line.endsWith("\r")) return "a trailer line ends without a carriage return";
    const line = this.#line.slice(0, -1);
    this.#line = "";
    if (line === "") {
      this.#state = done;
      return undefined;
    }
    const field = parseField(line);
    if (typeof field === "string") return field;
    this.#trailers.push(field);
    return undefined;
  }
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lowered = byte | 32;
  return lowered >= 97 && lowered <= 102 ? lowered - 87 : undefined;
}

function keepAliveMs(value: string): number | undefined {
  const found = /(?:^|[,\s])timeout=([0-9]{1,6})(?:$|[,\s])/.exec(value);
  return found === null ? undefined : Number(found[1]) * 1000;
}
