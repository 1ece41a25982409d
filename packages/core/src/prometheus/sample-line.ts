import { decodeUtf8 } from "./byte-text.ts";
import { parseGoFloat } from "./go-float.ts";
import { continuesLabelName, isBlank, skipBlanks, skipToBlank, startsLabelName } from "./name-chars.ts";

/**
 * `text`: version 0.0.4, timestamps in whole milliseconds. `openmetrics`: timestamps in seconds with fraction, and a
 * counter `x` or an info `x` is typed by `# TYPE x`, while its samples are called `x_total` or `x_info`.
 */
export type PageFormat = "text" | "openmetrics";

/** Labels read from one sample; a sample with more is malformed. */
export const maxLabelsPerSample = 128;

/** Odd and different in each process, so that a page cannot be built of label names that hash alike. */
const hashMultiplier = Math.floor(Math.random() * 2 ** 31) * 2 + 1;

const maxQuotedLength = 40;
const int64Limit = 2 ** 63;

/** DEL, C1 controls, line separators and marks that change the direction of text: JSON leaves them as they are. */
const unprintable = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** A short form of byte text[from, to) for messages, quoted and with control characters escaped. */
export function quoted(text: string, from: number, to: number): string {
  const whole = to - from <= maxQuotedLength;
  const escaped = JSON.stringify(decodeUtf8(text.slice(from, whole ? to : from + maxQuotedLength))).replace(
    unprintable,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return whole ? escaped : `${escaped}...`;
}

function found(text: string, at: number, end: number): string {
  return at < end ? `found ${quoted(text, at, at + 1)}` : "found the end of the line";
}

/**
 * Reads what follows the name in a sample line. One object serves all lines: the fields hold the last line read.
 * Never throws. Cost: one pass over the line; allocates for malformed lines only.
 */
export class SampleLine {
  value = 0;
  timestampMs: number | undefined = undefined;
  /** The text between the braces is text[labelsFrom, labelsTo); empty without labels. */
  labelsFrom = 0;
  labelsTo = 0;
  /** A number that is equal for equal label sets, in whatever order and spacing they stand. */
  labelSetHash = 0;

  readonly #nameFrom = new Int32Array(maxLabelsPerSample);
  readonly #nameTo = new Int32Array(maxLabelsPerSample);
  readonly #nameHash = new Int32Array(maxLabelsPerSample);
  #labelCount = 0;
  #at = 0;

  /**
   * Reads text[from, end), where `from` is the first position after the name and `end` that of the line's end.
   * Returns what is wrong with the line, or undefined when the fields are set.
   */
  read(text: string, from: number, end: number, format: PageFormat): string | undefined {
    this.timestampMs = undefined;
    this.labelsFrom = this.labelsTo = from;
    this.labelSetHash = 0;
    let at = skipBlanks(text, from, end);
    if (at < end && text.charCodeAt(at) === 0x7b) {
      const problem = this.#readLabels(text, at + 1, end);
      if (problem !== undefined) return problem;
      at = skipBlanks(text, this.#at, end);
    } else if (at === from && at < end) {
      return `expected "{" or a blank after the name, ${found(text, at, end)}`;
    }
    if (at === end) return "no value";
    const valueTo = skipToBlank(text, at, end);
    const value = parseGoFloat(text, at, valueTo);
    if (value === undefined) return `value ${quoted(text, at, valueTo)} is not a number`;
    this.value = value;
    if (valueTo === end) return undefined;
    return this.#readTimestamp(text, skipBlanks(text, valueTo, end), end, format);
  }

  #readTimestamp(text: string, from: number, end: number, format: PageFormat): string | undefined {
    // "#" starts an exemplar, which nothing here needs.
    if (from === end || text.charCodeAt(from) === 0x23) return undefined;
    const to = skipToBlank(text, from, end);
    const timestampMs = format === "text" ? parseMilliseconds(text, from, to) : parseSeconds(text, from, to);
    if (timestampMs === undefined) {
      return `timestamp ${quoted(text, from, to)} is not ${format === "text" ? "whole milliseconds" : "seconds"}`;
    }
    const rest = skipBlanks(text, to, end);
    if (rest < end && text.charCodeAt(rest) !== 0x23)
      return `unexpected ${quoted(text, rest, end)} after the timestamp`;
    this.timestampMs = timestampMs;
    return undefined;
  }

  #readLabels(text: string, from: number, end: number): string | undefined {
    this.#labelCount = 0;
    let setHash = 0;
    let at = skipBlanks(text, from, end);
    while (at < end && text.charCodeAt(at) !== 0x7d) {
      const nameFrom = at;
      if (!startsLabelName(text.charCodeAt(at))) return `expected a label name, ${found(text, at, end)}`;
      let hash = 0;
      while (at < end && continuesLabelName(text.charCodeAt(at))) {
        hash = (Math.imul(hash, hashMultiplier) + text.charCodeAt(at)) | 0;
        at++;
      }
      const problem = this.#addLabel(text, nameFrom, at, hash);
      if (problem !== undefined) return problem;
      at = skipBlanks(text, at, end);
      if (at >= end || text.charCodeAt(at) !== 0x3d) return `expected "=" after a label name, ${found(text, at, end)}`;
      at = skipBlanks(text, at + 1, end);
      if (at >= end || text.charCodeAt(at) !== 0x22) return `expected a quoted label value, ${found(text, at, end)}`;
      const valueFrom = ++at;
      for (; at < end && text.charCodeAt(at) !== 0x22; at++) {
        if (text.charCodeAt(at) !== 0x5c) continue;
        at++;
        const escaped = at < end ? text.charCodeAt(at) : 0;
        if (escaped !== 0x6e && escaped !== 0x5c && escaped !== 0x22) {
          return `unknown escape in a label value: ${quoted(text, at - 1, Math.min(at + 1, end))}`;
        }
      }
      if (at >= end) return "label value without closing quote";
      setHash = (setHash + hashOfLabel(hash, text, valueFrom, at)) | 0;
      at = skipBlanks(text, at + 1, end);
      if (at >= end || text.charCodeAt(at) !== 0x2c) break;
      at = skipBlanks(text, at + 1, end);
    }
    if (at >= end || text.charCodeAt(at) !== 0x7d) return `expected "," or "}" after a label, ${found(text, at, end)}`;
    this.labelsFrom = from;
    this.labelsTo = at;
    this.labelSetHash = setHash;
    this.#at = at + 1;
    return undefined;
  }

  #addLabel(text: string, from: number, to: number, hash: number): string | undefined {
    const count = this.#labelCount;
    if (count === maxLabelsPerSample) return `more than ${maxLabelsPerSample} labels`;
    for (let other = 0; other < count; other++) {
      if (this.#nameHash[other] !== hash) continue;
      if (text.slice(this.#nameFrom[other], this.#nameTo[other]) === text.slice(from, to)) {
        return `label ${quoted(text, from, to)} given twice`;
      }
    }
    this.#nameFrom[count] = from;
    this.#nameTo[count] = to;
    this.#nameHash[count] = hash;
    this.#labelCount = count + 1;
    return undefined;
  }
}

/** Mixes the hash of a label's name with the length of its value and at most 16 of its characters. */
function hashOfLabel(nameHash: number, text: string, valueFrom: number, valueTo: number): number {
  const length = valueTo - valueFrom;
  const step = (length >> 4) + 1;
  let hash = Math.imul(nameHash, hashMultiplier) + length;
  for (let at = valueTo - 1; at >= valueFrom; at -= step) hash = Math.imul(hash, hashMultiplier) + text.charCodeAt(at);
  return hash ^ (hash >>> 15);
}

function parseMilliseconds(text: string, from: number, to: number): number | undefined {
  const first = text.charCodeAt(from);
  const digitsFrom = first === 0x2d || first === 0x2b ? from + 1 : from;
  if (digitsFrom === to) return undefined;
  for (let at = digitsFrom; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return undefined;
  }
  const value = Number(text.slice(from, to));
  return Math.abs(value) <= int64Limit ? value : undefined;
}

function parseSeconds(text: string, from: number, to: number): number | undefined {
  const seconds = parseGoFloat(text, from, to);
  if (seconds === undefined) return undefined;
  const milliseconds = seconds * 1000;
  return Number.isFinite(milliseconds) ? milliseconds : undefined;
}

/**
 * Steps through the labels of a text that `SampleLine` has accepted: the fields hold the current label's places.
 * Label values are escaped and one character a byte.
 */
export class LabelCursor {
  nameFrom = 0;
  nameTo = 0;
  valueFrom = 0;
  valueTo = 0;
  #text = "";
  #at = 0;

  start(text: string): void {
    this.#text = text;
    this.#at = 0;
  }

  /** Goes to the next label; false after the last. */
  next(): boolean {
    const text = this.#text;
    const end = text.length;
    let at = this.#at;
    while (at < end && (isBlank(text.charCodeAt(at)) || text.charCodeAt(at) === 0x2c)) at++;
    if (at >= end) {
      this.#at = end;
      return false;
    }
    this.nameFrom = at;
    while (at < end && continuesLabelName(text.charCodeAt(at))) at++;
    this.nameTo = at;
    while (at < end && text.charCodeAt(at) !== 0x22) at++;
    this.valueFrom = at + 1;
    for (at++; at < end && text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++;
    this.valueTo = at;
    this.#at = at + 1;
    return true;
  }
}
