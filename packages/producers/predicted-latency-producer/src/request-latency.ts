import type { Endpoint, ResponseBodyEvent } from "@pointsman/core";
import type { FeatureRow } from "./feature-row.ts";
import type { RunningRequest } from "./running-requests.ts";
import type { RequestSlos } from "./slo-headers.ts";

/** A request from its preparation to the end of its answer. */
export interface RequestLatency {
  readonly startMs: number;
  readonly slos: RequestSlos;
  /** Rows of all candidates; gone once the request is decided. */
  candidates: ReadonlyMap<Endpoint, FeatureRow>;
  decided: DecidedLatency | undefined;
}

/** What is kept of a request that is decided. */
export interface DecidedLatency {
  readonly running: RunningRequest;
  readonly row: FeatureRow | undefined;
  /** Row of the endpoint that computes the prompt, which the time to first token is learned for. */
  readonly firstTokenRow: FeatureRow | undefined;
  readonly predictedTtftMs: number | undefined;
  readonly predictedTpotMs: number | undefined;
  firstChunkMs: number | undefined;
  chunks: number;
  /** The model server answered with an error. */
  failed: boolean;
}

/** How long an answer took, milliseconds. */
export interface AnswerTimes {
  readonly ttftMs: number;
  /** `undefined` when there is no second token to tell. */
  readonly tpotMs: number | undefined;
}

/**
 * Times of an answer that ended at `endMs`. When the first token is not told from the rest, the whole answer counts as
 * time to first token.
 *
 * Tokens are those the answer counts, else the events of its stream, else its pieces.
 */
export function answerTimes(
  { startMs }: Pick<RequestLatency, "startMs">,
  { firstChunkMs, chunks }: Pick<DecidedLatency, "firstChunkMs" | "chunks">,
  endMs: number,
  { usage, streamedEvents }: Pick<ResponseBodyEvent, "usage" | "streamedEvents">,
  streamingMode: boolean,
): AnswerTimes {
  const totalMs = endMs - startMs;
  if (!streamingMode || firstChunkMs === undefined) return { ttftMs: totalMs, tpotMs: undefined };
  const ttftMs = firstChunkMs - startMs;
  const tokens = usage?.completionTokens ?? (streamedEvents > 0 ? streamedEvents : chunks);
  const tpotMs = chunks > 1 && tokens > 1 ? (totalMs - ttftMs) / (tokens - 1) : undefined;
  return { ttftMs, tpotMs };
}
