import { SeededRandom } from "../seeded-random.ts";
import type { RequestOutline, Segment } from "./workload.ts";

/** Longest prompt and answer a trace may state. */
const maxTokens = 10_000_000;
/** Tokens of all requests together: making a workload takes up to 60 bytes for each 16 of them. */
const maxTotalTokens = 2 ** 29;
/** Tokens of a block of Mooncake's traces. */
const mooncakeBlockTokens = 512;
/** Coarsest rounding of times that is undone. */
const longestStepMs = 3000;

/** A line of a trace that cannot be used. */
export class TraceError extends Error {
  override readonly name: string = "TraceError";
}

/** One line of a trace, checked. */
interface Row {
  readonly line: number;
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
 * (512 when absent) and `session`. Mooncake's traces have this form, and so has the picker's decision log. Lines may be
 * in any order. Returns the `count` earliest requests.
 *
 * Times that are rounded, Mooncake's to three seconds, are spread again: a request comes at a random moment before the
 * next possible time, which is the smallest distance between two times of the trace away, at most three seconds. Of
 * lines with one time the earlier one comes first.
 *
 * Throws {@link TraceError} for a line that cannot be used, and where the requests have more than 2^29 tokens in all.
 */
export function readTrace(text: string, name: string, count: number, seed: number): readonly RequestOutline[] {
  const rows: Row[] = [];
  let line = 0;
  for (const content of text.split("\n")) {
    line++;
    if (content.trim() !== "") rows.push(readRow(content, name, line));
  }
  if (rows.length === 0) throw new TraceError(`${name}: has no requests`);
  rows.sort((a, b) => a.timestampMs - b.timestampMs);
  const stepMs = smallestStepMs(rows);
  const random = new SeededRandom(seed, 4);
  const startMs = rows[0]!.timestampMs;
  checkTotal(rows.slice(0, count), name);
  const outlines: RequestOutline[] = [];
  for (let first = 0; first < rows.length && outlines.length < count; ) {
    const { timestampMs } = rows[first]!;
    let next = first;
    while (next < rows.length && rows[next]!.timestampMs === timestampMs) next++;
    const offsetsMs = Float64Array.from({ length: next - first }, () => random.uniform() * stepMs).sort();
    for (const [i, row] of rows.slice(first, Math.min(next, count)).entries()) {
      outlines.push(outlineOf(row, timestampMs - startMs + offsetsMs[i]!, outlines.length));
    }
    first = next;
  }
  return outlines;
}

/** Smallest distance between different times of sorted rows; 0 when all are the same. */
function smallestStepMs(rows: readonly Row[]): number {
  let stepMs = longestStepMs;
  let differ = false;
  for (let i = 1; i < rows.length; i++) {
    const distanceMs = rows[i]!.timestampMs - rows[i - 1]!.timestampMs;
    if (distanceMs === 0) continue;
    differ = true;
    stepMs = Math.min(stepMs, distanceMs);
  }
  return differ ? stepMs : 0;
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

/** Throws a {@link TraceError} that names the row by which requests become too many tokens. */
function checkTotal(rows: readonly Row[], name: string): void {
  let tokens = 0;
  for (const [index, { line, promptTokens, outputTokens }] of rows.entries()) {
    tokens += promptTokens + outputTokens;
    if (tokens > maxTotalTokens) {
      throw new TraceError(
        `${name}:${line}: prompts and answers up to this one have ${tokens} tokens together; ` +
          `those of a replay may have ${maxTotalTokens}. Replay at most the ${index} earliest requests`,
      );
    }
  }
}

function readRow(content: string, name: string, line: number): Row {
  const where = `${name}:${line}`;
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
    line,
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
