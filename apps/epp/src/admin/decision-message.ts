import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DecisionView, SignalView, StageView } from "@pointsman/core";
import type { DecisionSchema } from "@pointsman/proto/admin";

type Init = MessageInitShape<typeof DecisionSchema>;

/** A decision as a message of the admin API. */
export function decisionMessage(view: DecisionView): Init {
  return {
    sequence: BigInt(view.sequence),
    requestId: view.requestId,
    at: view.at,
    model: view.model,
    targetModel: view.targetModel,
    priority: view.priority,
    fairnessId: view.fairnessId,
    ...(view.promptTokens === undefined ? {} : { promptTokens: BigInt(view.promptTokens) }),
    knownEndpoints: view.knownEndpoints,
    stages: view.stages.map(stageMessage),
    profiles: view.profiles.map((profile) => ({
      profile: profile.profile,
      primary: profile.primary,
      prefill: profile.prefill,
      filters: profile.filters.map((filter) => ({ ...filter, removed: [...filter.removed] })),
      candidates: profile.candidates.map((candidate) => ({
        endpoint: candidate.endpoint,
        hostPort: candidate.hostPort,
        total: candidate.total,
        scores: candidate.scores.map((score) => ({ ...score })),
        signals: candidate.signals.map(signalMessage),
      })),
      ...(profile.picker === undefined ? {} : { picker: profile.picker }),
      targets: [...profile.targets],
      winner: profile.winner ?? "",
      runnerUp: profile.runnerUp ?? "",
      error: profile.error ?? "",
      pluginTimes: profile.pluginTimes.map((time) => ({ ...time })),
    })),
    outcome: view.outcome,
    ...(view.httpStatus === undefined ? {} : { httpStatus: view.httpStatus }),
    durationMs: view.durationMs,
  };
}

function stageMessage(stage: StageView) {
  return {
    stage: stage.stage,
    ...(stage.plugin === undefined ? {} : { plugin: stage.plugin }),
    durationMs: stage.durationMs,
    ...(stage.remaining === undefined ? {} : { remaining: stage.remaining }),
    problem: stage.problem ?? "",
    profiles: [...(stage.profiles ?? [])],
  };
}

function signalMessage(signal: SignalView) {
  return {
    name: signal.signal,
    ...(signal.value === undefined ? {} : { value: signal.value }),
    ...(signal.ageMs === undefined ? {} : { ageMs: signal.ageMs }),
  };
}
