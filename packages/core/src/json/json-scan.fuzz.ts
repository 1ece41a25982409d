import { isDeepStrictEqual } from "node:util";
import { get } from "./get.ts";
import { elements, members } from "./json-cursor.ts";
import type { JsonDocument, JsonValue } from "./json-document.ts";
import { parseValue } from "./parse-value.ts";
import { scanJson } from "./scan-json.ts";
import { stringByteLength, stringBytes, writeStringBytes } from "./string-value.ts";

/** How many of the tried inputs were JSON. */
export interface FuzzCounts {
  readonly accepted: number;
  readonly rejected: number;
}

/**
 * Tries random JSON texts, whole and damaged, on scanJson and the readers.
 * Errors: throws with the seed, the iteration and the input when a rule breaks: the verdict and the value are those of
 * JSON.parse on the decoded text, nothing throws, and bytes around the input have no effect.
 */
export function fuzzJsonScan(seed: number, iterations: number): FuzzCounts {
  const random = randomIntegers(seed);
  let accepted = 0;
  for (let iteration = 0; iteration < iterations; iteration++) {
    const input = randomJsonInput(random);
    try {
      if (checkJsonInput(input, random)) accepted++;
    } catch (cause) {
      const at = `seed ${seed}, iteration ${iteration}, input ${JSON.stringify(input.toString("latin1"))}`;
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}: ${at}`, { cause });
    }
  }
  return { accepted, rejected: iterations - accepted };
}

/** A character that no JSON string may hold as it is. */
const NOT_IN_A_STRING = "\u0001";

/**
 * Parses with JSON.parse and replaces lone surrogates by U+FFFD, as the readers do. Gives undefined for what is no JSON.
 * JSON.parse itself sees no escapes, because it may take an escaped key for another key (nodejs/node issue 63785):
 * characters that must be escaped pass as U+F700 to U+F75C, which the text must not hold.
 */
export function referenceValue(text: string): unknown {
  const unescaped = (string: string) =>
    string.replace(/\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))?/g, (_, hex?: string, letter?: string) => {
      if (hex === undefined && letter === undefined) return NOT_IN_A_STRING;
      const meaning = "\b\f\n\r\t"["bfnrt".indexOf(letter ?? "none")] ?? letter ?? "";
      const code = hex === undefined ? meaning.charCodeAt(0) : Number.parseInt(hex, 16);
      return String.fromCharCode(code < 0x20 || code === 0x22 || code === 0x5c ? 0xf700 + code : code);
    });
  // Escapes mean something in strings only, and what they stand for is never part of another one.
  const plain = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"/gs, unescaped);
  const wellFormed = plain.replace(/\p{Cs}/gu, "\ufffd");
  const restored = (part: string) =>
    part.replace(/[\uf700-\uf75c]/g, (standIn) => String.fromCharCode(standIn.charCodeAt(0) - 0xf700));
  try {
    return mapStrings(JSON.parse(wellFormed), restored);
  } catch {
    return undefined;
  }
}

function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((element) => mapStrings(element, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [change(key), mapStrings(member, change)]));
}

/** Copies a value into arrays and objects by walking with cursors. */
function walked(value: JsonValue): unknown {
  if (value.kind === "array") {
    const array: unknown[] = [];
    const cursor = elements(value);
    while (cursor.next()) array.push(walked(cursor));
    return array;
  }
  if (value.kind !== "object") return parseValue(value);
  const entries: [string, unknown][] = [];
  const cursor = members(value);
  while (cursor.next()) entries.push([cursor.key() ?? "", walked(cursor)]);
  return Object.fromEntries(entries);
}

/** Gives a whole number from 0 to `below - 1`. */
export type RandomInteger = (below: number) => number;

/** A random JSON text, whole or damaged. */
export function randomJsonInput(random: RandomInteger): Buffer {
  return damaged(Buffer.from(jsonText(random, 0)), random);
}

function randomIntegers(seed: number): RandomInteger {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

function pick<T>(random: RandomInteger, choices: readonly [T, ...T[]]): T {
  return choices[random(choices.length)] ?? choices[0];
}

function jsonText(random: RandomInteger, depth: number): string {
  const space = () => (random(4) === 0 ? pick(random, [" ", "\n", "\r\n\t", " ".repeat(140)]) : "");
  const list = (one: () => string) => Array.from({ length: random(5) }, () => space() + one() + space()).join(",");
  switch (random(depth > 4 ? 3 : 6)) {
    case 0:
      return pick(random, ["null", "true", "false", "{}", "[]", "0", "-0", "12.5e-3", "1E400", "123456789012345678"]);
    case 1:
    case 2:
      return stringText(random);
    case 3:
      return `[${list(() => String(random(100_000)))}]`;
    case 4:
      return `[${list(() => jsonText(random, depth + 1))}]`;
    default:
      return `{${list(() => `${keyText(random)}${space()}:${space()}${jsonText(random, depth + 1)}`)}}`;
  }
}

function keyText(random: RandomInteger): string {
  return pick(random, ['"a"', '"b"', '"\\u0061"', '""', '"__proto__"', '"clé"', '"\\ud800"', stringText(random)]);
}

function stringText(random: RandomInteger): string {
  let text = "";
  for (let parts = random(6); parts > 0; parts--) {
    text += pick(random, [
      "x".repeat(random(150)),
      "plain ",
      "\\n",
      '\\"',
      "\\\\",
      "\\u00e9",
      "\\ud83d\\ude00",
      "\\ud83d",
      "\\ude00",
      "é你😀",
      "]}",
    ]);
  }
  return `"${text}"`;
}

const DAMAGING_BYTES = Buffer.from(
  '{}[]",:\\/u019.eE+-tfn \n\t\u0000\u001f\u007f\u0080\u009f\u00c3\u00e2\u00ed\u00f0\u00ff',
  "latin1",
);

function damaged(input: Buffer, random: RandomInteger): Buffer {
  let bytes = input;
  for (let changes = random(3); changes > 0; changes--) {
    const at = random(bytes.length + 1);
    const byte = Buffer.of(DAMAGING_BYTES[random(DAMAGING_BYTES.length)] ?? 0);
    const kept = pick(random, [at, at, at + 1, at + 1 + random(4), bytes.length]);
    bytes = Buffer.concat([bytes.subarray(0, at), ...(random(3) === 0 ? [] : [byte]), bytes.subarray(kept)]);
  }
  return bytes;
}

/**
 * Tries one input; `random` chooses what lies around it. Tells whether it is JSON.
 * Errors: throws when a rule of {@link fuzzJsonScan} breaks. The input must not hold U+F700 to U+F75C.
 */
export function checkJsonInput(input: Buffer, random: RandomInteger): boolean {
  // Each byte that is not UTF-8 gives one U+FFFD, where TextDecoder may give one for several: these are compared without.
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(input);
  const reference = referenceValue(text);
  // The same bytes at some alignment, between bytes that would close or open something.
  const before = random(8);
  const around = Buffer.alloc(before + input.length + 16, pick(random, ['"', "\\", "}", "]", "1", " "]));
  around.set(input, before);
  const moved = around.subarray(before, before + input.length);
  const document = scanJson(input);
  const again = scanJson(moved);
  if (document.ok !== again.ok) throw new Error("bytes around the input change the verdict");
  if (document.ok !== (reference !== undefined)) throw new Error(`scanJson answers ok = ${document.ok}`);
  if (!document.ok || !again.ok) {
    if (!isDeepStrictEqual(document, again)) throw new Error("bytes around the input change the error");
    return false;
  }
  const parsed = parseValue(document.root);
  if (!isDeepStrictEqual(parsed, parseValue(again.root))) throw new Error("bytes around the input change the value");
  if (!isDeepStrictEqual(parsed, walked(document.root))) throw new Error("the walk and parseValue differ");
  const damagedText = !input.equals(Buffer.from(text));
  const strip = (part: string) => (damagedText ? part.replaceAll("\ufffd", "") : part);
  if (!isDeepStrictEqual(mapStrings(parsed, strip), mapStrings(reference, strip))) {
    throw new Error("the value is not that of JSON.parse");
  }
  checkValues(document, document.root);
  return true;
}

/** Checks spans, lookups and the several ways to read a string, for a value and all inside it. */
function checkValues(document: JsonDocument, value: JsonValue): void {
  if (value.start < 0 || value.end <= value.start || value.end > document.bytes.length) throw new Error("bad span");
  if (value.kind === "string") checkString(value);
  const cursor = value.kind === "object" ? members(value) : elements(value);
  const last = new Map<string, number>();
  while (cursor.next()) {
    if (cursor.start <= value.start || cursor.end >= value.end) throw new Error("a value reaches out of its container");
    const key = cursor.key();
    if (key !== undefined) last.set(key, cursor.start);
    checkValues(document, cursor);
  }
  for (const [key, start] of last) {
    if (get(value, key)?.start !== start) throw new Error(`get does not find ${JSON.stringify(key)}`);
  }
}

function checkString(value: JsonValue): void {
  const bytes = stringBytes(value) ?? new Uint8Array(0);
  if (bytes.length !== stringByteLength(value)) throw new Error("stringByteLength is not the length of stringBytes");
  const target = new Uint8Array(value.end - value.start + 3).fill(0x2e);
  const written = writeStringBytes(value, target, 2) ?? -1;
  if (!Buffer.from(bytes).equals(target.subarray(2, 2 + written)))
    throw new Error("writeStringBytes and stringBytes differ");
  if (target[0] !== 0x2e || target[1] !== 0x2e || target.at(-1) !== 0x2e) throw new Error("bytes outside were written");
  const exact = new Uint8Array(bytes.length);
  if (writeStringBytes(value, exact, 0) !== bytes.length) throw new Error("the string does not fit exactly");
}
