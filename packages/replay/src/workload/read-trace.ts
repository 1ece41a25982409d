import { SeededRandom } from "../random.ts";
import type { RequestOutline, Segment } from "./workload.ts";

/** Longest prompt and answer a trace may state. */
const maxTokens = 10_000_000;
/** Tokens of a block of Mooncake's traces. */
const mooncakeBlockTokens = 512;

/** A line of a trace that cannot be used. */
export class TraceError extends Error {
  override readonly name: string = "TraceError";
}

/** One line of a trace, checked. */
interface Row {
  readonly timestampMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly hashes: readonly number[];
  readonly blockTokens: number;
  readonly session: string | undefined;
}

/**
 * Reads a trace, one JSON object a line: `timestamp` (milliseconds), `input_length`, `output_length` (tokens), `hash_ids`
 * (one for each block of the prompt, equal where prompts are equal up to there), and optionally `hash_block_tokens`
 * (512 when absent) and `session`. Mooncake's traces have this form, and so has the picker's decision log.
 *
 * Requests that share a timestamp are spread over the time to the next one: Mooncake rounds to three seconds.
 *
 * Throws {@link TraceError} for a line that cannot be used.
 */
export function readTrace(text: string, name: string, count: number, seed: number): readonly RequestOutline[] {
  const rows: Row[] = [];
  let line = 0;
  for (const content of text.split("\n")) {
    line++;
    if (content.trim() === "") continue;
    rows.push(readRow(content, `${name}:${line}`));
    // The first later moment tells how long the last one lasts.
    if (rows.length > count && rows.at(-1)!.timestampMs > rows[count - 1]!.timestampMs) break;
  }
  if (rows.length === 0) throw new TraceError(`${name}: has no requests`);
  rows.sort((a, b) => a.timestampMs - b.timestampMs);
  const random = new SeededRandom(seed, 4);
  const startMs = rows[0]!.timestampMs;
  const outlines: RequestOutline[] = [];
  let gapMs = 3000;
  for (let first = 0; first < rows.length && outlines.length < count; ) {
    let next = first;
    while (next < rows.length && rows[next]!.timestampMs === rows[first]!.timestampMs) next++;
    if (next < rows.length) gapMs = rows[next]!.timestampMs - rows[first]!.timestampMs;
    const shares = next - first > 1 || outlines.length === 0;
    const offsets = Array.from({ length: next - first }, () => (shares ? random.uniform() * gapMs : 0)).sort(
      (a, b) => a - b,
    );
    for (let i = first; i < next && outlines.length < count; i++) {
      outlines.push(outlineOf(rows[i]!, rows[i]!.timestampMs - startMs + offsets[i - first]!, i));
    }
    first = next;
  }
  return outlines;
}

function outlineOf(row: Row, atMs: number, index: number): RequestOutline {
  const prompt: Segment[] = [];
  let left = row.promptTokens;
  for (const hash of row.hashes) {
    prompt.push({ id: hash + 1, tokens: Math.min(row.blockTokens, left) });
    left -= row.blockTokens;
  }
  return {
    atMs,
    prompt,
    output: { id: -index - 1, tokens: row.outputTokens },
    ...(row.session === undefined ? {} : { session: row.session }),
  };
}

function readRow(content: string, where: string): Row {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (thrown: unknown) {
    throw new TraceError(`${where}: is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TraceError(`${where}: is not a JSON object`);
  }
  const row = value as Readonly<Record<string, unknown>>;
  const blockTokens = row["hash_block_tokens"] ?? mooncakeBlockTokens;
  const promptTokens = wholeNumber(row["input_length"], `${where}: input_length`, 1, maxTokens);
  const hashes = row["hash_ids"];
  const size = wholeNumber(blockTokens, `${where}: hash_block_tokens`, 1, maxTokens);
  const blocks = Math.ceil(promptTokens / size);
  if (!Array.isArray(hashes) || hashes.length !== blocks) {
    throw new TraceError(
      `${where}: hash_ids must have one entry for each ${size} tokens of the prompt, ${blocks} in all`,
    );
  }
  const session = row["session"];
  if (session !== undefined && typeof session !== "string") throw new TraceError(`${where}: session must be a string`);
  return {
    timestampMs: finiteNumber(row["timestamp"], `${where}: timestamp`),
    promptTokens,
    outputTokens: wholeNumber(row["output_length"], `${where}: output_length`, 1, maxTokens),
    hashes: hashes.map((hash, i) => wholeNumber(hash, `${where}: hash_ids[${i}]`, 0, Number.MAX_SAFE_INTEGER - 1)),
    blockTokens: size,
    session,
  };
}

function finiteNumber(value: unknown, where: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new TraceError(`${where} must be a number`);
  return value;
}

function wholeNumber(value: unknown, where: string, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw new TraceError(`${where} must be a whole number from ${min} to ${max}`);
  }
  return value;
}
