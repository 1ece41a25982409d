import { JsonDocument, MAX_ROOT_MEMBERS, MEMBER_INTS } from "./json-document.ts";
import { JsonError, literalError, numberError, stringError, structureError } from "./json-error.ts";
import { byteWords, STRING_FAULT, scanString } from "./scan-string.ts";
import { SHORTEST_SPAN, SpanRecorder } from "./skip-spans.ts";

export interface ScanJsonOptions {
  /** Arrays and objects that may be open at once, 1 to 10000; values outside are moved to the nearer bound. Default 512. */
  readonly maxDepth?: number;
}

const DEFAULT_MAX_DEPTH = 512;
const HIGHEST_MAX_DEPTH = 10_000;
/** 256 MiB: positions stay 32-bit integers, and no text decoded from the input is longer than a string may be. */
const MAX_BYTES = 0x1000_0000;

// One scan never runs inside another, so all share this memory.
const recorder = new SpanRecorder();
const members: number[] = [];
/** Per open container: its place in the recorder doubled, plus one for an object. */
let stack = new Int32Array(DEFAULT_MAX_DEPTH);

/**
 * Checks that `bytes` are exactly one JSON value (RFC 8259) with optional white space around it, and indexes it.
 * Shape: tell the results apart by `ok`. Bytes from 0x80 on are accepted inside strings whether or not they are valid
 * UTF-8; nowhere else. Lone surrogate escapes and repeated keys are accepted.
 * Errors: returned, never thrown. Nesting beyond `maxDepth` is an error at the bracket that opens one level too many,
 * and so is a root object of more than 16384 members at the first key too many.
 * Cost: O(bytes), one pass; the index takes at most 1.6 MB, whatever the input.
 */
export function scanJson(bytes: Uint8Array, options?: ScanJsonOptions): JsonDocument | JsonError {
  const end = bytes.length;
  if (end > MAX_BYTES) return new JsonError(`input of ${end} bytes exceeds the limit of ${MAX_BYTES} bytes`, MAX_BYTES);
  const maxDepth = depthLimit(options?.maxDepth);
  const view = byteWords(bytes);
  recorder.reset();

  let index = skipSpace(bytes, 0, end);
  const rootStart = index;
  const rootIsObject = index < end && bytes[index] === 0x7b;
  let rootEnd = end;
  let memberInts = 0;
  let keyStart = 0;
  let keyEnd = 0;
  let memberStart = 0;
  let depth = 0;
  let inObject = false;

  scan: for (;;) {
    if (inObject) {
      // A key and its colon.
      if (index >= end || bytes[index] !== 0x22) {
        return structureError(bytes, index, "looking for beginning of object key string");
      }
      const from = index + 1;
      let close = scanString(bytes, view, from);
      if (close < 0) {
        if (close === STRING_FAULT) return stringError(bytes, from);
        close = ~close;
      }
      index = close + 1;
      if (index >= end || bytes[index] !== 0x3a) {
        index = skipSpace(bytes, index, end);
        if (index >= end || bytes[index] !== 0x3a) return structureError(bytes, index, "after object key");
      }
      index = skipSpace(bytes, index + 1, end);
      if (depth === 1) {
        keyStart = from;
        keyEnd = close;
        memberStart = index;
      }
    }

    // A value. `valueEnd` stays the index after it, but for strings with escapes.
    const start = index;
    let valueEnd = 0;
    const first = index < end ? bytes[index]! : -1;
    if (first === 0x22) {
      const close = scanString(bytes, view, start + 1);
      if (close >= 0) {
        index = close + 1;
        valueEnd = index;
      } else {
        if (close === STRING_FAULT) return stringError(bytes, start + 1);
        index = ~close + 1;
        valueEnd = ~index;
      }
      if (index - start >= SHORTEST_SPAN) recorder.addLeaf(start, valueEnd);
    } else if (first === 0x7b || first === 0x5b) {
      if (depth === maxDepth) return new JsonError(`arrays and objects nest deeper than ${maxDepth} levels`, index);
      inObject = first === 0x7b;
      index = skipSpace(bytes, index + 1, end);
      if (index >= end || bytes[index] !== first + 2) {
        stack[depth++] = (recorder.open(start) << 1) | (inObject ? 1 : 0);
        continue;
      }
      // Empty: never opened. The two bytes may have long white space between them.
      index++;
      valueEnd = index;
      if (index - start >= SHORTEST_SPAN) recorder.addLeaf(start, valueEnd);
      inObject = depth > 0 && (stack[depth - 1]! & 1) === 1;
    } else if (first >= 0x31 && first <= 0x39) {
      index = skipDigits(bytes, start + 1, end);
      if (index < end && (bytes[index] === 0x2e || (bytes[index]! | 0x20) === 0x65)) {
        index = scanNumber(bytes, start, end);
        if (index < 0) return numberError(bytes, start);
      } else if (depth > 0 && !inObject) {
        index = skipIntegers(bytes, index, end);
      }
      valueEnd = index;
    } else if (first === 0x2d || first === 0x30) {
      index = scanNumber(bytes, start, end);
      if (index < 0) return numberError(bytes, start);
      valueEnd = index;
    } else if (first === 0x74) {
      if (end - start < 4 || bytes[start + 1] !== 0x72 || bytes[start + 2] !== 0x75 || bytes[start + 3] !== 0x65) {
        return literalError(bytes, start, "true");
      }
      index += 4;
      valueEnd = index;
    } else if (first === 0x66) {
      if (
        end - start < 5 ||
        bytes[start + 1] !== 0x61 ||
        bytes[start + 2] !== 0x6c ||
        bytes[start + 3] !== 0x73 ||
        bytes[start + 4] !== 0x65
      ) {
        return literalError(bytes, start, "false");
      }
      index += 5;
      valueEnd = index;
    } else if (first === 0x6e) {
      if (end - start < 4 || bytes[start + 1] !== 0x75 || bytes[start + 2] !== 0x6c || bytes[start + 3] !== 0x6c) {
        return literalError(bytes, start, "null");
      }
      index += 4;
      valueEnd = index;
    } else {
      return structureError(bytes, index, "looking for beginning of value");
    }

    // What follows a value: a comma, or any number of closing brackets.
    for (;;) {
      if (depth <= 1) {
        if (depth === 0) {
          rootEnd = valueEnd;
          break scan;
        }
        if (rootIsObject) {
          if (memberInts === MAX_ROOT_MEMBERS * MEMBER_INTS) {
            return new JsonError(`the root object has more than ${MAX_ROOT_MEMBERS} members`, keyStart - 1);
          }
          members[memberInts++] = keyStart;
          members[memberInts++] = keyEnd;
          members[memberInts++] = memberStart;
          members[memberInts++] = valueEnd;
        }
      }
      index = skipSpace(bytes, index, end);
      const next = index < end ? bytes[index]! : -1;
      if (next === 0x2c) {
        index = skipSpace(bytes, index + 1, end);
        continue scan;
      }
      if (next !== (inObject ? 0x7d : 0x5d)) {
        return structureError(bytes, index, inObject ? "after object key:value pair" : "after array element");
      }
      index++;
      valueEnd = index;
      recorder.close(stack[--depth]! >> 1, index);
      inObject = depth > 0 && (stack[depth - 1]! & 1) === 1;
    }
  }

  index = skipSpace(bytes, index, end);
  if (index < end) return structureError(bytes, index, "after top-level value");
  const rootMembers = members.slice(0, memberInts);
  return new JsonDocument(bytes, view, recorder.take(), rootMembers, rootStart, rootEnd);
}

function depthLimit(maxDepth: number = DEFAULT_MAX_DEPTH): number {
  const limit = Math.min(Math.max(Math.floor(maxDepth), 1), HIGHEST_MAX_DEPTH) || DEFAULT_MAX_DEPTH;
  if (limit > stack.length) stack = new Int32Array(limit);
  return limit;
}

/** Returns the index of the first byte at or after `index` that is not white space, `end` when there is none. */
function skipSpace(bytes: Uint8Array, index: number, end: number): number {
  let at = index;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break;
    at++;
  }
  return at;
}

/** Returns the index after the number that starts at `start`, -1 when it breaks off. */
function scanNumber(bytes: Uint8Array, start: number, end: number): number {
  let index = start;
  if (bytes[index] === 0x2d) index++;
  if (index >= end) return -1;
  const first = bytes[index]!;
  if (first < 0x30 || first > 0x39) return -1;
  index = first === 0x30 ? index + 1 : skipDigits(bytes, index, end);
  if (index < end && bytes[index] === 0x2e) {
    const from = index + 1;
    index = skipDigits(bytes, from, end);
    if (index === from) return -1;
  }
  if (index < end && (bytes[index]! | 0x20) === 0x65) {
    let from = index + 1;
    if (from < end && (bytes[from] === 0x2b || bytes[from] === 0x2d)) from++;
    index = skipDigits(bytes, from, end);
    if (index === from) return -1;
  }
  return index;
}

/**
 * Passes over further array elements that are plain integers, as lists of token ids are.
 * Shape: `index` is where an element ended. Returns where the last one passed ended; what follows is not checked.
 */
function skipIntegers(bytes: Uint8Array, index: number, end: number): number {
  let passed = index;
  for (;;) {
    if (passed + 2 >= end || bytes[passed] !== 0x2c) return passed;
    const start = bytes[passed + 1] === 0x20 ? passed + 2 : passed + 1;
    const first = bytes[start]!;
    if (first < 0x31 || first > 0x39) return passed;
    const after = skipDigits(bytes, start + 1, end);
    if (after >= end || bytes[after] === 0x2e || (bytes[after]! | 0x20) === 0x65) return passed;
    passed = after;
  }
}

function skipDigits(bytes: Uint8Array, index: number, end: number): number {
  let at = index;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte < 0x30 || byte > 0x39) break;
    at++;
  }
  return at;
}
