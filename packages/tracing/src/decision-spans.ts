import { type Attributes, type Context, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { type DecisionTrace, type InferenceRequest, type ScoreSummary, summarizeScores } from "@pointsman/core";

type ProfileTrace = DecisionTrace["profiles"][number];

/** Endpoints that a picker's span names. */
const topEndpoints = 5;

export interface DecisionTracers {
  readonly requestControl: Tracer;
  readonly scheduling: Tracer;
}

/**
 * Makes the spans of a decision out of its record, which has ended at `endMs` (milliseconds since the epoch). The record
 * knows how long things took, not when they began: they are laid out one after the other, so gaps between plugins count
 * to the next one. Source: spec ext-proc section 10.9.
 */
export function decisionSpans(
  tracers: DecisionTracers,
  parent: Context,
  request: InferenceRequest,
  decision: DecisionTrace,
  endMs: number,
): void {
  const { outcome } = decision;
  const span = tracers.requestControl.startSpan(
    "gateway.request_orchestration",
    {
      kind: SpanKind.SERVER,
      startTime: endMs - decision.durationMs,
      attributes: { target_model: decision.targetModel, request_prio: decision.priority },
    },
    parent,
  );
  const context = trace.setSpan(parent, span);
  const common = { "gen_ai.request.model": decision.targetModel, "gen_ai.request.id": request.id };
  let profileEndMs = endMs;
  for (const { stage, durationMs } of decision.stages) {
    // Only these come after scheduling.
    if (stage === "PreRequest") profileEndMs -= durationMs;
  }
  const starts = new Array<number>(decision.profiles.length);
  for (let i = decision.profiles.length - 1; i >= 0; i--) {
    profileEndMs -= profileDurationMs(decision.profiles[i]!);
    starts[i] = profileEndMs;
  }
  for (const [i, profile] of decision.profiles.entries()) {
    profileSpans(tracers.scheduling, context, profile, starts[i]!, common);
  }
  if (outcome !== undefined && outcome !== "routed") {
    span.recordException({ name: outcome.code, message: outcome.message }, endMs);
    span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.message });
  }
  span.end(endMs);
}

function profileDurationMs(profile: ProfileTrace): number {
  return sumMs(profile.filters) + sumMs(profile.scorers) + profile.pickerDurationMs;
}

function sumMs(timed: readonly { readonly durationMs: number }[]): number {
  return timed.reduce((sum, { durationMs }) => sum + durationMs, 0);
}

function profileSpans(
  tracer: Tracer,
  parent: Context,
  profile: ProfileTrace,
  startMs: number,
  common: Attributes,
): void {
  const profileSpan = tracer.startSpan(
    "run_scheduler_profile",
    { startTime: startMs, attributes: { ...common, "llm_d.epp.scheduling.profile.name": profile.profile } },
    parent,
  );
  const context = trace.setSpan(parent, profileSpan);
  /** A span that is over. Returns the context for its children. */
  const done = (name: string, under: Context, fromMs: number, durationMs: number, attributes: Attributes): Context => {
    const span = tracer.startSpan(name, { startTime: fromMs, attributes: { ...common, ...attributes } }, under);
    span.end(fromMs + durationMs);
    return trace.setSpan(under, span);
  };
  let atMs = startMs;
  const scored = profile.candidateCount ?? profile.candidates.length;
  const before = profile.filters[0]?.before.length ?? scored;
  const filtersMs = sumMs(profile.filters);
  done("filter_endpoints", context, atMs, filtersMs, {
    "llm_d.epp.filter.candidate_endpoints": before,
    "llm_d.epp.filter.filtered_endpoints": profile.filters.at(-1)?.after.length ?? before,
  });
  atMs += filtersMs;
  const reachedScoring = profile.picker !== undefined || profile.scorers.length > 0;
  if (reachedScoring) {
    const scoring = done("llm_d.epp.scoring", context, atMs, sumMs(profile.scorers), {
      "llm_d.epp.scorer.count": profile.scorers.length,
      "llm_d.epp.scoring.candidate_endpoints": scored,
    });
    for (const { plugin, weight, scores, summary, durationMs } of profile.scorers) {
      const { count, max, mean }: ScoreSummary = summary ?? summarizeScores(scores);
      done(`llm_d.epp.scorer.${plugin.type}`, scoring, atMs, durationMs, {
        "llm_d.epp.scorer.type": plugin.type,
        "llm_d.epp.scorer.name": plugin.name,
        "llm_d.epp.scorer.weight": weight,
        "llm_d.epp.scorer.candidate_endpoints": scored,
        "llm_d.epp.scorer.score.max": max,
        "llm_d.epp.scorer.score.avg": mean,
        "llm_d.epp.scorer.endpoints_scored": count,
      });
      atMs += durationMs;
    }
  }
  if (profile.picker !== undefined) {
    const top = Array.from(profile.totals, (total, i) => ({ total, id: profile.candidates[i]!.id }))
      .sort((a, b) => b.total - a.total)
      .slice(0, topEndpoints);
    done("pick_endpoints", context, atMs, profile.pickerDurationMs, {
      "llm_d.epp.picker.candidate_endpoints": scored,
      "llm_d.epp.picker.top_endpoints": top.map(({ id }) => id),
      "llm_d.epp.picker.top_scores": top.map(({ total }) => total),
    });
  }
  const { error } = profile;
  if (error !== undefined) profileSpan.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  profileSpan.end(startMs + profileDurationMs(profile));
}
