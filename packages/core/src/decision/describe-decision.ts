import type { Endpoint } from "../endpoint.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { DecisionTrace, ProfileTrace } from "./decision-record.ts";

/** A plugin by the names people know. */
export interface PluginView {
  readonly name: string;
  readonly type: string;
}

export interface ScoreView {
  readonly plugin: PluginView;
  readonly weight: number;
  readonly score: number;
  readonly contribution: number;
}

export interface SignalView {
  readonly signal: string;
  /** Text form; absent when unknown. */
  readonly value: string | undefined;
  readonly ageMs: number | undefined;
}

export interface CandidateView {
  readonly endpoint: string;
  readonly hostPort: string;
  readonly total: number;
  readonly scores: readonly ScoreView[];
  readonly signals: readonly SignalView[];
}

export interface FilterView {
  readonly plugin: PluginView;
  readonly before: number;
  readonly after: number;
  /** At most 16 of the endpoints removed. */
  readonly removed: readonly string[];
  readonly durationMs: number;
}

export interface ProfileView {
  readonly profile: string;
  readonly primary: boolean;
  /** Its choice computes the prompt's KV cache for the primary one. */
  readonly prefill: boolean;
  readonly filters: readonly FilterView[];
  /** Best total first. */
  readonly candidates: readonly CandidateView[];
  readonly picker: PluginView | undefined;
  readonly targets: readonly string[];
  readonly winner: string | undefined;
  /** Best endpoint that was not picked first; absent when none was picked. */
  readonly runnerUp: string | undefined;
  readonly error: string | undefined;
  readonly pluginTimes: readonly { readonly plugin: PluginView; readonly durationMs: number }[];
}

export interface StageView {
  readonly stage: string;
  readonly plugin: PluginView | undefined;
  readonly durationMs: number;
  readonly remaining: number | undefined;
  readonly problem: string | undefined;
  /** Profiles that the profile handler named to run next, at most 16; absent for other stages. */
  readonly profiles?: readonly string[];
}

/** A decision as people and tools read it: plain data, JSON without loss. */
export interface DecisionView {
  readonly sequence: number;
  readonly requestId: string;
  readonly at: string;
  readonly model: string;
  readonly targetModel: string;
  readonly priority: number;
  readonly fairnessId: string;
  readonly promptTokens: number | undefined;
  readonly knownEndpoints: number;
  readonly stages: readonly StageView[];
  readonly profiles: readonly ProfileView[];
  readonly outcome: string;
  readonly httpStatus: number | undefined;
  readonly durationMs: number;
}

const maxListed = 16;

function view(plugin: NamedPlugin<unknown>): PluginView {
  return { name: plugin.name, type: plugin.type };
}

function signalText(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (value instanceof Set) return `{${Array.from(value).slice(0, maxListed).join(", ")}}`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function describeProfile(trace: ProfileTrace, decision: DecisionTrace): ProfileView {
  const order = Array.from(trace.candidates.keys()).sort((a, b) => trace.totals[b]! - trace.totals[a]!);
  const signalIndex = new Map<Endpoint, number>(decision.signalEndpoints.map((endpoint, i) => [endpoint, i]));
  const candidates = order.map((i): CandidateView => {
    const endpoint = trace.candidates[i]!;
    const at = signalIndex.get(endpoint);
    return {
      endpoint: endpoint.id,
      hostPort: endpoint.hostPort,
      total: trace.totals[i]!,
      scores: trace.scorers.map((scorer) => ({
        plugin: view(scorer.plugin),
        weight: scorer.weight,
        score: scorer.scores[i]!,
        contribution: scorer.scores[i]! * scorer.weight,
      })),
      signals:
        at === undefined
          ? []
          : decision.signals.map((signal) => ({
              signal: signal.name,
              value: signalText(signal.values[at]),
              ageMs: Number.isNaN(signal.agesMs[at]!) ? undefined : signal.agesMs[at]!,
            })),
    };
  });
  const winner = trace.targets[0]?.id;
  return {
    profile: trace.profile,
    primary: trace.profile === decision.primaryProfile,
    prefill: trace.profile === decision.prefillProfile,
    filters: trace.filters.map((filter) => {
      const kept = new Set(filter.after);
      const removed: string[] = [];
      for (const endpoint of filter.before) {
        if (removed.length === maxListed) break;
        if (!kept.has(endpoint)) removed.push(endpoint.id);
      }
      return {
        plugin: view(filter.plugin),
        before: filter.before.length,
        after: filter.after.length,
        removed,
        durationMs: filter.durationMs,
      };
    }),
    candidates,
    picker: trace.picker === undefined ? undefined : view(trace.picker),
    targets: trace.targets.map((endpoint) => endpoint.id),
    winner,
    runnerUp:
      winner === undefined ? undefined : candidates.find((candidate) => candidate.endpoint !== winner)?.endpoint,
    error: trace.error?.message,
    pluginTimes: [
      ...trace.filters.map((filter) => ({ plugin: view(filter.plugin), durationMs: filter.durationMs })),
      ...trace.scorers.map((scorer) => ({ plugin: view(scorer.plugin), durationMs: scorer.durationMs })),
      ...(trace.picker === undefined ? [] : [{ plugin: view(trace.picker), durationMs: trace.pickerDurationMs }]),
    ],
  };
}

/** Turns a record into its readable form. */
export function describeDecision(trace: DecisionTrace): DecisionView {
  const { outcome } = trace;
  return {
    sequence: trace.sequence,
    requestId: trace.requestId,
    at: new Date(trace.atWallMs).toISOString(),
    model: trace.model,
    targetModel: trace.targetModel,
    priority: trace.priority,
    fairnessId: trace.fairnessId,
    promptTokens: trace.promptTokens,
    knownEndpoints: trace.knownEndpoints,
    stages: trace.stages.map((stage) => ({
      ...stage,
      plugin: stage.plugin === undefined ? undefined : view(stage.plugin),
      ...(stage.profiles === undefined ? {} : { profiles: stage.profiles.slice(0, maxListed) }),
    })),
    profiles: trace.profiles.map((profile) => describeProfile(profile, trace)),
    outcome: outcome === "routed" ? "routed" : outcome === undefined ? "pending" : outcome.body,
    httpStatus: outcome === undefined || outcome === "routed" ? undefined : outcome.httpStatus,
    durationMs: trace.durationMs,
  };
}
