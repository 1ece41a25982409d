import { scanJson } from "@pointsman/core/json";
import type { ApiKind } from "./api-kind.ts";
import { withCachedTokens } from "./usage-path.ts";

/** Changes a body as it passes. What it returns is sent in the place of what it got. */
export interface BodyRewriter {
  /** `bytes` stay valid. */
  push(bytes: Uint8Array): readonly Uint8Array[];
  /** The body is complete. */
  finish(): readonly Uint8Array[];
}

/** A JSON reply or one line of a stream beyond this passes as it is. */
const maxHeldBytes = 16 * 1024 * 1024;
const usageKey = Buffer.from('"usage"');
const dataField = Buffer.from("data: ");
const newline = 0x0a;
const none: readonly Uint8Array[] = [];

/**
 * Puts the number of cached prompt tokens that the prefill server reported into the decode server's usage report. All
 * bytes beside that number stay as they are.
 */
export function usageRewriter(api: ApiKind, cached: Uint8Array, contentType: string | undefined): BodyRewriter {
  const stream = contentType?.toLowerCase().startsWith("text/event-stream") === true;
  return stream ? new StreamUsageRewriter(api, cached) : new DocumentUsageRewriter(api, cached);
}

/** Holds a body until it is complete. One that starts as a stream is handled as a stream. */
class DocumentUsageRewriter implements BodyRewriter {
  readonly #api: ApiKind;
  readonly #cached: Uint8Array;
  #held: Uint8Array[] = [];
  #bytes = 0;
  #stream: StreamUsageRewriter | undefined;
  #passes = false;

  constructor(api: ApiKind, cached: Uint8Array) {
    this.#api = api;
    this.#cached = cached;
  }

  push(bytes: Uint8Array): readonly Uint8Array[] {
    if (this.#stream !== undefined) return this.#stream.push(bytes);
    if (this.#passes) return [bytes];
    if (this.#bytes === 0 && startsWith(bytes, dataField)) {
      this.#stream = new StreamUsageRewriter(this.#api, this.#cached);
      return this.#stream.push(bytes);
    }
    this.#held.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes <= maxHeldBytes) return none;
    this.#passes = true;
    return this.#taken();
  }

  finish(): readonly Uint8Array[] {
    if (this.#stream !== undefined) return this.#stream.finish();
    const held = this.#taken();
    if (held.length === 0) return none;
    const bytes = held.length === 1 ? held[0]! : Buffer.concat(held);
    return rewritten(this.#api, bytes, this.#cached) ?? [bytes];
  }

  #taken(): Uint8Array[] {
    const held = this.#held;
    this.#held = [];
    this.#bytes = 0;
    return held;
  }
}

/** Holds back only an unfinished line. */
class StreamUsageRewriter implements BodyRewriter {
  readonly #api: ApiKind;
  readonly #cached: Uint8Array;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** The rest of a line that was too long to hold. */
  #passesLine = false;

  constructor(api: ApiKind, cached: Uint8Array) {
    this.#api = api;
    this.#cached = cached;
  }

  push(bytes: Uint8Array): readonly Uint8Array[] {
    const buffer = asBuffer(bytes);
    const lastNewline = buffer.lastIndexOf(newline);
    if (lastNewline === -1) return this.#hold(bytes);
    const sent: Uint8Array[] = [];
    const firstNewline = buffer.indexOf(newline);
    let from = 0;
    if (this.#passesLine) {
      from = firstNewline + 1;
      sent.push(bytes.subarray(0, from));
      this.#passesLine = false;
    } else if (this.#heldBytes > 0) {
      from = firstNewline + 1;
      this.#held.push(bytes.subarray(0, from));
      const line = Buffer.concat(this.#held);
      this.#held = [];
      this.#heldBytes = 0;
      this.#lines(line, sent);
    }
    this.#lines(buffer.subarray(from, lastNewline + 1), sent);
    if (lastNewline + 1 < bytes.length) sent.push(...this.#hold(bytes.subarray(lastNewline + 1)));
    return sent;
  }

  finish(): readonly Uint8Array[] {
    if (this.#heldBytes === 0) return none;
    const sent: Uint8Array[] = [];
    this.#lines(Buffer.concat(this.#held), sent);
    this.#held = [];
    this.#heldBytes = 0;
    return sent;
  }

  #hold(bytes: Uint8Array): readonly Uint8Array[] {
    if (this.#passesLine) return [bytes];
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes <= maxHeldBytes) return none;
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    this.#passesLine = true;
    return held;
  }

  /** Whole lines, the last of a body possibly without its end. */
  #lines(buffer: Buffer, sent: Uint8Array[]): void {
    let from = 0;
    let searched = 0;
    for (;;) {
      const found = buffer.indexOf(usageKey, searched);
      if (found === -1) break;
      const start = buffer.lastIndexOf(newline, found) + 1;
      const lineFeed = buffer.indexOf(newline, found);
      const end = lineFeed === -1 ? buffer.length : lineFeed;
      searched = end;
      const line = buffer.subarray(start, end);
      if (!startsWith(line, dataField)) continue;
      const parts = rewritten(this.#api, line.subarray(dataField.length), this.#cached);
      if (parts === undefined) continue;
      sent.push(buffer.subarray(from, start + dataField.length), ...parts);
      from = end;
    }
    if (from < buffer.length) sent.push(buffer.subarray(from));
  }
}

function rewritten(api: ApiKind, bytes: Uint8Array, cached: Uint8Array): Uint8Array[] | undefined {
  const document = scanJson(bytes);
  return document.ok ? withCachedTokens(api, document.root, cached) : undefined;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && prefix.every((byte, i) => bytes[i] === byte);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
