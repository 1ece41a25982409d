import type { AttributeKey } from "../attributes/attribute-key.ts";
import type { Endpoint } from "../endpoint.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { InferenceRequest } from "../request.ts";
import type { RequestError } from "../request-error.ts";
import { zeroedFloat64 } from "../zeroed.ts";

/** A stage outside the profiles: admission, a screener, a producer, a hook, a question to the profile handler. */
export interface StageTrace {
  readonly stage: string;
  readonly plugin: NamedPlugin<unknown> | undefined;
  readonly durationMs: number;
  /** Endpoints left after the stage, for stages that narrow the candidates. */
  readonly remaining: number | undefined;
  /** Why the stage refused or failed. */
  readonly problem: string | undefined;
  /** Profiles that the profile handler named to run next; absent for other stages. */
  readonly profiles?: readonly string[];
}

export interface FilterTrace {
  readonly plugin: NamedPlugin<unknown>;
  readonly before: readonly Endpoint[];
  readonly after: readonly Endpoint[];
  readonly durationMs: number;
}

export interface ScorerTrace {
  readonly plugin: NamedPlugin<unknown>;
  readonly weight: number;
  /** Clamped scores, aligned with the profile's candidates. */
  readonly scores: Float64Array;
  readonly durationMs: number;
  /** Over all candidates, where the record keeps some of them and was asked for it. */
  readonly summary?: ScoreSummary;
}

/** What many scores come to. */
export interface ScoreSummary {
  readonly count: number;
  readonly max: number;
  readonly mean: number;
}

/** Sums up scores; of none, all is 0. */
export function summarizeScores(scores: Float64Array): ScoreSummary {
  let max = 0;
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!;
    if (score > max) max = score;
    sum += score;
  }
  return { count: scores.length, max, mean: scores.length === 0 ? 0 : sum / scores.length };
}

/** What one profile did. */
export interface ProfileTrace {
  readonly profile: string;
  readonly filters: FilterTrace[];
  readonly scorers: ScorerTrace[];
  candidates: readonly Endpoint[];
  totals: Float64Array;
  picker: NamedPlugin<unknown> | undefined;
  pickerDurationMs: number;
  targets: readonly Endpoint[];
  error: RequestError | undefined;
  /** Candidates that were scored, where the record keeps some of them. */
  candidateCount?: number;
}

/** One signal of the candidates at the moment of the decision. */
export interface SignalTrace {
  readonly name: string;
  /** Aligned with `DecisionTrace.signalEndpoints`; `undefined` where unknown. */
  readonly values: readonly unknown[];
  /** Milliseconds since the write; NaN where never written. */
  readonly agesMs: Float64Array;
}

/**
 * Everything about one decision, in the raw form it had on the way. Kept by reference: turning it into text happens
 * when somebody looks.
 */
export interface DecisionTrace {
  readonly sequence: number;
  /** Sum up the scores of large pools before the record is cut. */
  readonly summarizes?: boolean;
  requestId: string;
  /** Milliseconds since the epoch. */
  readonly atWallMs: number;
  model: string;
  targetModel: string;
  priority: number;
  fairnessId: string;
  promptTokens: number | undefined;
  /** Endpoints known, and those left for scheduling. */
  knownEndpoints: number;
  readonly stages: StageTrace[];
  readonly profiles: ProfileTrace[];
  primaryProfile: string | undefined;
  /** Profile whose choice computes the prompt's KV cache for the primary one. */
  prefillProfile: string | undefined;
  signalEndpoints: readonly Endpoint[];
  signals: readonly SignalTrace[];
  outcome: "routed" | RequestError | undefined;
  /** Time from the whole body to the decision, waiting included. */
  durationMs: number;
}

/** Most endpoints whose scores and signals a record keeps: the best by total, and the one picked. */
export const maxRecordedEndpoints = 32;

/**
 * Indices of the `count` largest totals, largest first, equal ones in their order. Runs for every decision over a large
 * pool, so it looks at each total once and moves few: O(n) and a little more for the ones that enter.
 */
function topIndices(totals: Float64Array, count: number): number[] {
  const top: number[] = [];
  for (let i = 0; i < totals.length; i++) {
    const total = totals[i]!;
    if (top.length === count) {
      if (!(total > totals[top[count - 1]!]!)) continue;
      top.pop();
    }
    let place = top.length;
    while (place > 0 && total > totals[top[place - 1]!]!) place--;
    top.splice(place, 0, i);
  }
  return top;
}

/**
 * Cuts a large profile down to its best endpoints, so that a record's size does not grow with the pool. `summarizes`
 * keeps what all scores come to, which looks at each of them once.
 */
export function compactProfile(profile: ProfileTrace, summarizes: boolean = false): void {
  if (profile.candidates.length <= maxRecordedEndpoints) return;
  profile.candidateCount = profile.candidates.length;
  const kept = topIndices(profile.totals, maxRecordedEndpoints);
  const { candidates, totals } = profile;
  const winner = profile.targets[0];
  const winnerIndex = winner === undefined ? -1 : candidates.indexOf(winner);
  if (winnerIndex !== -1 && !kept.includes(winnerIndex)) kept[kept.length - 1] = winnerIndex;
  profile.candidates = kept.map((i) => candidates[i]!);
  profile.totals = Float64Array.from(kept, (i) => totals[i]!);
  for (let s = 0; s < profile.scorers.length; s++) {
    const trace = profile.scorers[s]!;
    const summary = summarizes ? { summary: summarizeScores(trace.scores) } : undefined;
    profile.scorers[s] = { ...trace, ...summary, scores: Float64Array.from(kept, (i) => trace.scores[i]!) };
  }
}

/**
 * Notes values and ages of the signals that the configured plugins read: attributes of the endpoints, and what attributes
 * of the request say of each endpoint, which are as old as the decision.
 */
export function captureSignals(
  endpoints: readonly Endpoint[],
  keys: readonly AttributeKey<unknown>[],
  request: InferenceRequest,
): SignalTrace[] {
  const signals: SignalTrace[] = [];
  for (const key of keys) {
    if (key.scope === "endpoint") signals.push(endpointSignal(endpoints, key, request.nowMs));
    else signals.push(...requestSignals(endpoints, key, request));
  }
  return signals;
}

function endpointSignal(endpoints: readonly Endpoint[], key: AttributeKey<unknown>, nowMs: number): SignalTrace {
  const count = endpoints.length;
  const agesMs = zeroedFloat64(count);
  const values = new Array<unknown>(count);
  const { index } = key;
  for (let i = 0; i < count; i++) {
    const endpoint = endpoints[i]!;
    const at = endpoint.writtenAtMs[index];
    agesMs[i] = at === undefined || at === Number.NEGATIVE_INFINITY ? Number.NaN : nowMs - at;
    values[i] = endpoint.values[index];
  }
  return { name: key.dataType, values, agesMs };
}

function requestSignals(
  endpoints: readonly Endpoint[],
  key: AttributeKey<unknown>,
  request: InferenceRequest,
): SignalTrace[] {
  const value = request.attributes.get(key);
  if (value === undefined || key.perEndpoint === undefined) return [];
  const rows = endpoints.map(({ slot }) => key.perEndpoint!(value, slot));
  return Object.keys(rows[0] ?? {}).map((part) => ({
    name: `${key.dataType}.${part}`,
    values: rows.map((row) => (Number.isNaN(row[part]) ? undefined : row[part])),
    agesMs: zeroedFloat64(endpoints.length),
  }));
}
