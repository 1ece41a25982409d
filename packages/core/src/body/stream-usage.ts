import { scanJson } from "../json/index.ts";
import type { Usage } from "../plugin/parser.ts";
import type { AnswerFormat } from "./answer-format.ts";
import { ByteStore } from "./byte-store.ts";

/** A longer event is counted and not read. Bytes. */
export const maxEventBytes: number = 1024 * 1024;

const newline = 0x0a;
const carriageReturn = 0x0d;

/**
 * Counts the events of a stream and finds the usage in them, wherever the chunks are cut.
 *
 * Lines end with LF or CRLF, events with an empty line. A server that leaves the empty line out is understood: a data
 * line that opens a JSON value after one that closed an object starts an event, since no JSON text has that.
 * Cost: events without a usage key that has a value are not parsed, and nothing is allocated for an event that lies
 * within one chunk. Where events are not counted, a chunk of whole events is searched once for the usage key, and lines
 * are looked for only when it is there.
 */
export class StreamUsage {
  usage: Usage | undefined;
  events = 0;
  /** The bytes of the event that is not complete. */
  readonly #carry = new ByteStore();
  /** Starts and ends of the data lines of this event, counted from its first byte. */
  readonly #data: number[] = [];
  /** Where the line that is not complete starts, counted from the event's first byte. */
  #lineStart = 0;
  /** The event is too long, or memory is short: its bytes are not kept. */
  #skipping = false;
  #skippedLineIsEmpty = false;
  #skippedData = false;
  readonly #format: AnswerFormat;
  readonly #counts: boolean;
  /** Searched for first: without the quote, which JSON has everywhere, the search takes a third of the time. */
  readonly #usageName: Buffer;
  /** The usage key with its quotes. */
  readonly #usageKey: Buffer;

  /** Without `counts`, {@link events} says nothing. */
  constructor(format: AnswerFormat, counts: boolean) {
    this.#format = format;
    this.#counts = counts;
    this.#usageName = Buffer.from(format.usageKey);
    this.#usageKey = Buffer.from(JSON.stringify(format.usageKey));
  }

  get keptBytes(): number {
    return this.#carry.length;
  }

  /** The event at hand is counted and not read. */
  letGo(): void {
    if (this.#carry.length > 0) this.#skipEvent();
  }

  observe(bytes: Uint8Array, endOfStream: boolean): void {
    const rest = this.#skipping ? this.#skip(bytes) : bytes;
    if (rest.length > 0) {
      if (this.#carry.length === 0) {
        if (!this.#counts && this.#hasNoUsage(rest)) return;
        const done = this.#read(asBuffer(rest), 0);
        if (done < rest.length) this.#keep(rest.subarray(done));
      } else {
        const searched = this.#carry.length;
        this.#carry.append(rest);
        const done = this.#read(this.#carry.view(), searched);
        if (done > 0) this.#carry.dropFirst(done);
        this.#bound();
      }
    }
    if (endOfStream) this.#end();
  }

  /** Tells whether the bytes are whole events and none of them names the usage. */
  #hasNoUsage(bytes: Uint8Array): boolean {
    const { length } = bytes;
    const endsEvent = bytes[length - 1] === newline && bytes[length - 2] === newline;
    return endsEvent && !asBuffer(bytes).includes(this.#usageName);
  }

  #keep(bytes: Uint8Array): void {
    this.#carry.append(bytes);
    this.#bound();
  }

  #bound(): void {
    if (this.#carry.length > maxEventBytes) this.#skipEvent();
  }

  #skipEvent(): void {
    const bytes = this.#carry.view();
    this.#skipping = true;
    this.#skippedLineIsEmpty = isEmptyLine(bytes, this.#lineStart, bytes.length);
    this.#skippedData = this.#data.length > 0 || dataStart(bytes, this.#lineStart, bytes.length) !== -1;
    this.#carry.clear();
    this.#data.length = 0;
    this.#lineStart = 0;
  }

  /** Returns what follows the event that is not kept. */
  #skip(bytes: Uint8Array): Uint8Array {
    let lineStart = 0;
    for (;;) {
      const end = bytes.indexOf(newline, lineStart);
      const empty = isEmptyLine(bytes, lineStart, end === -1 ? bytes.length : end);
      this.#skippedLineIsEmpty = this.#skippedLineIsEmpty && empty;
      if (end === -1) return bytes.subarray(bytes.length);
      lineStart = end + 1;
      if (this.#skippedLineIsEmpty) {
        this.#skipping = false;
        if (this.#skippedData) this.events++;
        return bytes.subarray(lineStart);
      }
      this.#skippedLineIsEmpty = true;
    }
  }

  /**
   * Reads lines of `bytes`, which start with the first byte of the event at hand. Before `searched` is no line end that
   * was not seen. Returns where the event starts that is not complete.
   */
  #read(bytes: Buffer, searched: number): number {
    let eventStart = 0;
    let lineStart = this.#lineStart;
    let from = searched;
    // The next name of the usage key, looked up once for all events before it; -1 when there is none.
    let usageAt: number | undefined;
    for (;;) {
      const lineEnd = nextNewline(bytes, from);
      if (lineEnd === -1) break;
      const start = dataStart(bytes, lineStart, lineEnd);
      if (start !== -1 && this.#data.length === 0 && bytes[lineEnd + 1] === newline) {
        // Most events: one data line. It is read without being noted.
        if (usageAt === undefined || (usageAt !== -1 && usageAt < start)) {
          usageAt = bytes.indexOf(this.#usageName, start);
        }
        this.#event(bytes, start, textEnd(bytes, start, lineEnd), usageAt !== -1 && usageAt < lineEnd);
        eventStart = lineEnd + 2;
        lineStart = eventStart;
        from = eventStart;
        continue;
      }
      const ends = start === -1 ? isEmptyLine(bytes, lineStart, lineEnd) : this.#startsEvent(bytes, eventStart, start);
      if (ends && this.#data.length > 0) {
        const first = eventStart + this.#data[0]!;
        if (usageAt === undefined || (usageAt !== -1 && usageAt < first))
          usageAt = bytes.indexOf(this.#usageName, first);
        const end = eventStart + this.#data.at(-1)!;
        this.#event(bytes, first, end, usageAt !== -1 && usageAt < lineStart, eventStart);
        this.#data.length = 0;
      }
      if (ends) eventStart = start === -1 ? lineEnd + 1 : lineStart;
      if (start !== -1) this.#data.push(start - eventStart, textEnd(bytes, start, lineEnd) - eventStart);
      lineStart = lineEnd + 1;
      from = lineStart;
      // Lines without data need not be kept.
      if (start === -1 && this.#data.length === 0) eventStart = lineStart;
    }
    this.#lineStart = lineStart - eventStart;
    return eventStart;
  }

  #startsEvent(bytes: Uint8Array, eventStart: number, start: number): boolean {
    if (this.#data.length === 0) return false;
    const first = bytes[start];
    return (first === 0x7b || first === 0x5b) && bytes[eventStart + this.#data.at(-1)! - 1] === 0x7d;
  }

  /** Counts the event whose data is `bytes[start..end)`, in more than one line where noted, and reads its usage. */
  #event(bytes: Buffer, start: number, end: number, namesUsage: boolean, eventStart = 0): void {
    if (end - start > maxEventBytes || !isDone(bytes, start, end)) this.events++;
    if (!namesUsage || end - start > maxEventBytes || !hasValue(bytes, start, end, this.#usageKey)) return;
    const data = this.#data;
    const document = scanJson(data.length > 2 ? joined(bytes, eventStart, data) : bytes.subarray(start, end));
    if (document.ok) this.usage = this.#format.eventUsage(this.usage, document.root);
  }

  /** What is left is read as if its last line had been ended. */
  #end(): void {
    if (this.#skipping) {
      if (this.#skippedData) this.events++;
      this.#skipping = false;
      return;
    }
    if (this.#carry.length === 0) return;
    const searched = this.#carry.length;
    this.#carry.append(Buffer.from("\n\n"));
    this.#read(this.#carry.view(), searched);
    this.#carry.clear();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Looks before it searches: most pieces end with an empty line, and a search is a call into native code. */
function nextNewline(bytes: Buffer, from: number): number {
  if (from >= bytes.length) return -1;
  return bytes[from] === newline ? from : bytes.indexOf(newline, from);
}

/** Where the value of a data line starts, one space after the colon left out; -1 for any other line. */
function dataStart(bytes: Uint8Array, start: number, end: number): number {
  if (
    end - start < 5 ||
    bytes[start] !== 0x64 ||
    bytes[start + 1] !== 0x61 ||
    bytes[start + 2] !== 0x74 ||
    bytes[start + 3] !== 0x61 ||
    bytes[start + 4] !== 0x3a
  ) {
    return -1;
  }
  return end - start > 5 && bytes[start + 5] === 0x20 ? start + 6 : start + 5;
}

function isEmptyLine(bytes: Uint8Array, start: number, end: number): boolean {
  return end === start || (end === start + 1 && bytes[start] === carriageReturn);
}

function textEnd(bytes: Uint8Array, start: number, lineEnd: number): number {
  return lineEnd > start && bytes[lineEnd - 1] === carriageReturn ? lineEnd - 1 : lineEnd;
}

/** Tells whether the data is `[DONE]`, which ends a stream. */
function isDone(bytes: Uint8Array, start: number, end: number): boolean {
  let last = end;
  while (last > start && bytes[last - 1] === 0x20) last--;
  return (
    last - start === 6 &&
    bytes[start] === 0x5b &&
    bytes[start + 1] === 0x44 &&
    bytes[start + 2] === 0x4f &&
    bytes[start + 3] === 0x4e &&
    bytes[start + 4] === 0x45 &&
    bytes[start + 5] === 0x5d
  );
}

/** Tells whether a key is followed by something else than null. */
function hasValue(bytes: Buffer, start: number, end: number, key: Uint8Array): boolean {
  for (let at = bytes.indexOf(key, start); at !== -1 && at < end; at = bytes.indexOf(key, at)) {
    at += key.length;
    while (at < end && (bytes[at]! <= 0x20 || bytes[at] === 0x3a)) at++;
    if (bytes[at] !== 0x6e) return true;
  }
  return false;
}

function joined(bytes: Uint8Array, eventStart: number, data: readonly number[]): Uint8Array {
  const lines: Uint8Array[] = [];
  for (let i = 0; i < data.length; i += 2) {
    if (i > 0) lines.push(Uint8Array.of(newline));
    lines.push(bytes.subarray(eventStart + data[i]!, eventStart + data[i + 1]!));
  }
  return Buffer.concat(lines);
}
