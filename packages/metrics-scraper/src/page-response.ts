import { type PageEncoding, pageEncoding, unpackedPage } from "./page-body.ts";
import type { PageBuffers } from "./page-buffers.ts";
import { PollFailure, printable } from "./poll-failure.ts";

const maxHeadBytes = 16_384;
const maxChunkExtensionBytes = 1024;
const maxChunkSizeDigits = 8;

const headTooLarge = `the head of the answer is larger than ${maxHeadBytes} bytes`;
const headEnd = Buffer.from("\r\n\r\n");
const statusLine = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?: |$)/;
const noBytes = Buffer.alloc(0);

/** Where in a response reading stands. */
type Place =
  | "head"
  | "length"
  | "until close"
  | "chunk size"
  | "chunk extension"
  | "chunk size end"
  | "chunk data"
  | "chunk end"
  | "chunk end line"
  | "trailers"
  | "done";

/**
 * Reads the responses of one connection, one after the other: HTTP/1.1 as RFC 9112 has it, of which only a page with
 * status 200 is of use. What a server sends against the standard is a failure, never guessed at.
 *
 * A page is valid during the call that gives it. One that came whole in one read is a view of what was read; others are
 * put together in a buffer of the pool.
 */
export class PageResponse {
  readonly #maxBodyBytes: number;
  readonly #buffers: PageBuffers;
  #place: Place = "done";
  /** The start of a head that has not come whole. */
  #head: Buffer = noBytes;
  #encoding: PageEncoding = "identity";
  /** Bytes of the body or chunk that have not come. */
  #leftBytes = 0;
  /** Digits of a chunk size, or bytes of a trailer's line. */
  #count = 0;
  /** Bytes of a chunk extension, or of all trailers. */
  #extraBytes = 0;
  #page: Buffer | undefined;
  #pageBytes = 0;
  /** A byte of the response has come. */
  started = false;
  /** A head has come. */
  answered = false;
  /** Whether the connection can take another request after this response. */
  keepsConnection = false;

  constructor(maxBodyBytes: number, buffers: PageBuffers) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#buffers = buffers;
  }

  /** Prepares for the response to a request. */
  begin(): void {
    this.reset();
    this.#place = "head";
  }

  /** Forgets what has come. */
  reset(): void {
    this.#place = "done";
    this.#head = noBytes;
    this.#pageBytes = 0;
    this.started = false;
    this.answered = false;
    this.keepsConnection = false;
    if (this.#page === undefined) return;
    this.#buffers.give(this.#page);
    this.#page = undefined;
  }

  /** Takes `bytes[0..end)`. Gives the page or what is wrong once that is known. */
  feed(bytes: Buffer, end: number): Uint8Array | PollFailure | undefined {
    this.started = true;
    if (this.#place === "done") return refusal("the server sends bytes that nobody asked for");
    if (this.#place !== "head") return this.#feedBody(bytes, 0, end);
    let source = bytes;
    let sourceEnd = end;
    if (this.#head.length > 0) {
      source = Buffer.concat([this.#head, bytes.subarray(0, end)]);
      sourceEnd = source.length;
    }
    let at = 0;
    while (this.#place === "head") {
      const found = source.indexOf(headEnd, at);
      if (found < 0 || found + headEnd.length > sourceEnd) {
        if (sourceEnd - at > maxHeadBytes) return refusal(headTooLarge);
        this.#head = Buffer.from(source.subarray(at, sourceEnd));
        return undefined;
      }
      if (found - at > maxHeadBytes) return refusal(headTooLarge);
      const problem = this.#readHead(source.toString("latin1", at, found));
      if (problem !== undefined) return refusal(problem);
      at = found + headEnd.length;
    }
    this.#head = noBytes;
    return this.#feedBody(source, at, sourceEnd);
  }

  /** The server has closed its side. Gives the page, or what is missing. */
  finish(): Uint8Array | PollFailure {
    if (this.#place === "until close") return this.#complete(this.#page?.subarray(0, this.#pageBytes) ?? noBytes);
    if (this.answered) return refusal("the answer broke off: the connection was closed");
    return new PollFailure("unreachable", "the connection was closed before an answer");
  }

  #readHead(head: string): string | undefined {
    const lineEnd = head.indexOf("\r\n");
    const start = statusLine.exec(lineEnd < 0 ? head : head.slice(0, lineEnd));
    if (start === null) return "the answer is not HTTP/1.1";
    this.answered = true;
    const status = Number(start[2]);
    const fields = readFields(head, lineEnd < 0 ? head.length : lineEnd + 2);
    if (typeof fields === "string") return fields;
    const { length, coding, connection, contentEncoding, location } = fields;
    if (status < 200) return status === 101 ? "the server switched to another protocol" : undefined;
    if (status !== 200) {
      if (status > 299 && status < 400 && location !== "") {
        return `HTTP status ${status} to ${location}; redirects are not followed`;
      }
      return `HTTP status ${status}`;
    }
    const encoding = pageEncoding(contentEncoding);
    if (encoding === undefined) return `content encoding "${contentEncoding}" is not supported`;
    this.#encoding = encoding;
    const tokens = connection === "" ? [] : connection.toLowerCase().split(",");
    const says = (token: string): boolean => tokens.some((each) => each.trim() === token);
    this.keepsConnection = start[1] === "1" ? !says("close") : says("keep-alive") && !says("close");
    if (coding !== "") {
      if (length !== undefined) return "the answer has a content length and a transfer coding";
      if (coding.toLowerCase() !== "chunked" || start[1] === "0") return `transfer coding "${coding}" is not supported`;
      this.#place = "chunk size";
      this.#startChunk();
    } else if (length === undefined) {
      this.#place = "until close";
      this.keepsConnection = false;
    } else {
      if (!/^[0-9]{1,15}$/.test(length)) return "the content length is not a number";
      this.#leftBytes = Number(length);
      if (this.#leftBytes > this.#maxBodyBytes) return this.#tooLarge();
      this.#place = "length";
    }
    return undefined;
  }

  #feedBody(bytes: Buffer, from: number, end: number): Uint8Array | PollFailure | undefined {
    let at = from;
    if (this.#place === "length") {
      const wanted = this.#leftBytes;
      if (this.#pageBytes === 0 && end - at >= wanted) {
        if (end - at > wanted) this.keepsConnection = false;
        return this.#complete(bytes.subarray(at, at + wanted));
      }
      at += this.#take(bytes, at, end);
      return this.#leftBytes > 0 ? undefined : this.#completeAt(at, end);
    }
    if (this.#place === "until close") {
      this.#leftBytes = end - at;
      if (this.#pageBytes + this.#leftBytes > this.#maxBodyBytes) return refusal(this.#tooLarge());
      this.#take(bytes, at, end);
      return undefined;
    }
    while (at < end) {
      if (this.#place === "chunk data") {
        at += this.#take(bytes, at, end);
        if (this.#leftBytes === 0) this.#place = "chunk end";
        continue;
      }
      const problem = this.#framingByte(bytes[at++]!);
      if (problem !== undefined) return refusal(problem);
      // The call has moved on, which the compiler does not see.
      if ((this.#place as Place) === "done") return this.#completeAt(at, end);
    }
    return undefined;
  }

  #startChunk(): void {
    this.#place = "chunk size";
    this.#leftBytes = 0;
    this.#count = 0;
    this.#extraBytes = 0;
  }

  /** Takes one byte of what stands between the bytes of the page. */
  #framingByte(byte: number): string | undefined {
    switch (this.#place) {
      case "chunk size": {
        const digit = hexDigit(byte);
        if (digit !== undefined) {
          this.#leftBytes = this.#leftBytes * 16 + digit;
          return ++this.#count > maxChunkSizeDigits ? "a chunk size is too large" : undefined;
        }
        if (this.#count === 0) return "a chunk has no size";
        if (byte === 0x0d) this.#place = "chunk size end";
        else if (byte === 0x3b || byte === 0x20 || byte === 0x09) this.#place = "chunk extension";
        else return "a chunk size is not hexadecimal";
        return undefined;
      }
      case "chunk extension":
        if (byte === 0x0d) this.#place = "chunk size end";
        else if (++this.#extraBytes > maxChunkExtensionBytes) return "a chunk extension is too long";
        return undefined;
      case "chunk size end":
        if (byte !== 0x0a) return "a chunk size does not end its line";
        if (this.#pageBytes + this.#leftBytes > this.#maxBodyBytes) return this.#tooLarge();
        this.#place = this.#leftBytes === 0 ? "trailers" : "chunk data";
        this.#count = 0;
        this.#extraBytes = 0;
        return undefined;
      case "chunk end":
        if (byte !== 0x0d) return "a chunk is longer than its size";
        this.#place = "chunk end line";
        return undefined;
      case "chunk end line":
        if (byte !== 0x0a) return "a chunk does not end its line";
        this.#startChunk();
        return undefined;
      default:
        // Nothing in the trailers is of use. An empty line ends them.
        if (byte === 0x0d) return undefined;
        if (byte === 0x0a) {
          if (this.#count === 0) this.#place = "done";
          this.#count = 0;
          return undefined;
        }
        this.#count++;
        return ++this.#extraBytes > maxHeadBytes ? "the trailers are too long" : undefined;
    }
  }

  /** Copies what there is of the `#leftBytes` to the end of the page. Gives how many bytes these are. */
  #take(bytes: Buffer, at: number, end: number): number {
    const count = Math.min(this.#leftBytes, end - at);
    const needed = this.#pageBytes + count;
    if (this.#page === undefined || this.#page.length < needed) {
      // Grows as bytes come, so that a stated length alone takes no memory; doubles, so that little is copied again.
      const larger = this.#buffers.take(Math.max(needed, this.#pageBytes * 2));
      if (this.#page !== undefined) {
        this.#page.copy(larger, 0, 0, this.#pageBytes);
        this.#buffers.give(this.#page);
      }
      this.#page = larger;
    }
    bytes.copy(this.#page, this.#pageBytes, at, at + count);
    this.#pageBytes = needed;
    this.#leftBytes -= count;
    return count;
  }

  #completeAt(at: number, end: number): Uint8Array | PollFailure {
    if (at < end) this.keepsConnection = false;
    return this.#complete(this.#page?.subarray(0, this.#pageBytes) ?? noBytes);
  }

  #complete(body: Uint8Array): Uint8Array | PollFailure {
    this.#place = "done";
    return unpackedPage(body, this.#encoding, this.#maxBodyBytes);
  }

  #tooLarge(): string {
    return `the page is larger than the limit of ${this.#maxBodyBytes} bytes`;
  }
}

function refusal(reason: string): PollFailure {
  return new PollFailure("bad-answer", printable(reason));
}

/** The fields of a head that matter; "" for those that are missing. */
interface HeadFields {
  length: string | undefined;
  coding: string;
  connection: string;
  contentEncoding: string;
  location: string;
}

/** Reads the fields behind `from`. Gives what is wrong as a text. */
function readFields(head: string, from: number): HeadFields | string {
  const fields: HeadFields = { length: undefined, coding: "", connection: "", contentEncoding: "", location: "" };
  let at = from;
  while (at < head.length) {
    const found = head.indexOf("\r\n", at);
    const end = found < 0 ? head.length : found;
    const colon = head.indexOf(":", at);
    if (colon <= at || colon > end || head.charCodeAt(colon - 1) <= 0x20) return "the answer has a malformed header";
    // Only names as long as one of those that matter are looked at.
    switch (colon - at) {
      case 8:
      case 10:
      case 14:
      case 16:
      case 17: {
        const value = head.slice(colon + 1, end).trim();
        switch (head.slice(at, colon).toLowerCase()) {
          case "content-length":
            if (fields.length !== undefined && fields.length !== value) return "the answer has two content lengths";
            fields.length = value;
            break;
          case "transfer-encoding":
            fields.coding = fields.coding === "" ? value : `${fields.coding}, ${value}`;
            break;
          case "content-encoding":
            fields.contentEncoding = fields.contentEncoding === "" ? value : `${fields.contentEncoding}, ${value}`;
            break;
          case "connection":
            fields.connection = fields.connection === "" ? value : `${fields.connection}, ${value}`;
            break;
          case "location":
            fields.location = value;
        }
      }
    }
    at = end + 2;
  }
  return fields;
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lowered = byte | 0x20;
  return lowered >= 0x61 && lowered <= 0x66 ? lowered - 0x57 : undefined;
}
