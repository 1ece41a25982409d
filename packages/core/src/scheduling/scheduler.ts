import type { Clock } from "../clock.ts";
import { compactProfile, type DecisionTrace, type ProfileTrace } from "../decision/decision-record.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Histogram, MetricsRegistry } from "../metrics.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type {
  Filter,
  Picker,
  ProfileHandler,
  ProfileResult,
  SchedulingResult,
  Scorer,
} from "../plugin/scheduling-plugins.ts";
import type { InferenceRequest } from "../request.ts";
import { RequestError } from "../request-error.ts";
import { zeroedFloat64 } from "../zeroed.ts";
import type { ExtensionPoint, PluginCalls } from "./plugin-calls.ts";
import { prefillProfile } from "./prefill-target.ts";
import { SchedulerAttempts } from "./scheduler-attempts.ts";

/** Of a profile that has not scored. */
const noTotals = new Float64Array(0);

/** A scorer with its weight in a profile. */
export interface WeightedScorer {
  readonly plugin: NamedPlugin<Scorer>;
  readonly weight: number;
}

/** One way to choose: filters in order, then scorers, then the picker. */
export interface SchedulingProfile {
  readonly name: string;
  readonly filters: readonly NamedPlugin<Filter>[];
  readonly scorers: readonly WeightedScorer[];
  readonly picker: NamedPlugin<Picker>;
}

export interface SchedulerOptions {
  /** In configuration order. */
  readonly profiles: readonly SchedulingProfile[];
  readonly profileHandler: NamedPlugin<ProfileHandler>;
  readonly calls: PluginCalls;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  /** Counts runs; one of its own when absent. */
  readonly attempts?: SchedulerAttempts;
}

/**
 * Chooses endpoints for a request: the profile handler says which profiles run, each profile filters, scores and picks.
 *
 * Synchronous and deterministic but for the random numbers plugins draw. A plugin that throws costs the request no more
 * than that plugin's opinion (scorer) or its profile (filter, picker).
 */
export class Scheduler {
  readonly #profiles: ReadonlyMap<string, SchedulingProfile>;
  readonly #names: readonly string[];
  readonly #handler: NamedPlugin<ProfileHandler>;
  readonly #calls: PluginCalls;
  readonly #clock: Clock;
  readonly #e2e: Histogram;
  readonly #attempts: SchedulerAttempts;

  constructor(options: SchedulerOptions) {
    this.#profiles = new Map(options.profiles.map((profile) => [profile.name, profile]));
    this.#names = options.profiles.map((profile) => profile.name);
    this.#handler = options.profileHandler;
    this.#calls = options.calls;
    this.#clock = options.clock;
    this.#e2e = options.metrics
      .histogram({
        name: "llm_d_epp_scheduler_e2e_duration_seconds",
        help: "Time of one scheduling run.",
        buckets: [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1],
      })
      .labels();
    this.#attempts = options.attempts ?? new SchedulerAttempts(options.metrics);
  }

  /** Runs one scheduling cycle over `candidates` (at least one). Fills `trace` when given. Never throws. */
  schedule(
    request: InferenceRequest,
    candidates: readonly Endpoint[],
    trace: DecisionTrace | undefined,
  ): SchedulingResult | RequestError {
    const startMs = this.#clock.now();
    request.nowMs = startMs;
    const outcome = this.#run(request, candidates, trace);
    this.#e2e.observe((this.#clock.now() - startMs) / 1000);
    if (outcome instanceof RequestError) this.#attempts.failed(request.targetModel);
    else {
      // A result without a target is an error above.
      this.#attempts.succeeded(request.targetModel, outcome.profiles.get(outcome.primaryProfile)!.targets[0]!);
      if (trace !== undefined) {
        trace.primaryProfile = outcome.primaryProfile;
        trace.prefillProfile = prefillProfile(outcome);
      }
    }
    return outcome;
  }

  #run(
    request: InferenceRequest,
    candidates: readonly Endpoint[],
    trace: DecisionTrace | undefined,
  ): SchedulingResult | RequestError {
    const results = new Map<string, ProfileResult | RequestError>();
    const handler = this.#handler;
    let point: ExtensionPoint = "ProfilePicker";
    try {
      // Each round must name at least one profile that has not run, so the loop ends.
      for (;;) {
        const startMs = this.#clock.now();
        const names = handler.instance.pickProfiles(request, this.#names, results);
        const durationMs = this.#clock.now() - startMs;
        this.#calls.observe("ProfilePicker", handler, durationMs);
        trace?.stages.push({
          ...{ stage: "ProfilePicker", plugin: handler, durationMs, remaining: undefined, problem: undefined },
          profiles: names,
        });
        let ran = false;
        for (const name of names) {
          const profile = this.#profiles.get(name);
          if (profile === undefined || results.has(name)) continue;
          results.set(name, this.#runProfile(profile, request, candidates, trace));
          ran = true;
        }
        if (!ran) break;
      }
      if (results.size === 0) {
        return new RequestError(
          "ResourceExhausted",
          "failed to find target endpoint: no profile was run for the request",
        );
      }
      point = "ProcessProfilesResults";
      const startMs = this.#clock.now();
      const outcome = handler.instance.processResults(request, results);
      this.#calls.observe(point, handler, this.#clock.now() - startMs);
      if (outcome instanceof RequestError) return outcome;
      if (outcome.profiles.get(outcome.primaryProfile)?.targets[0] !== undefined) return outcome;
      this.#calls.failed(point, handler, "names a primary profile without a target");
    } catch (thrown: unknown) {
      if (thrown instanceof RequestError) return thrown;
      this.#calls.failed(point, handler, "threw", thrown);
    }
    return new RequestError("Internal", "scheduling failed; see the log of the endpoint picker");
  }

  #runProfile(
    profile: SchedulingProfile,
    request: InferenceRequest,
    candidates: readonly Endpoint[],
    decision: DecisionTrace | undefined,
  ): ProfileResult | RequestError {
    const trace: ProfileTrace | undefined =
      decision === undefined
        ? undefined
        : {
            profile: profile.name,
            filters: [],
            scorers: [],
            candidates,
            totals: noTotals,
            picker: undefined,
            pickerDurationMs: 0,
            targets: [],
            error: undefined,
          };
    if (trace !== undefined) decision?.profiles.push(trace);
    const fail = (error: RequestError): RequestError => {
      if (trace !== undefined) {
        trace.error = error;
        if (trace.totals === noTotals) trace.totals = zeroedFloat64(trace.candidates.length);
        compactProfile(trace, decision?.summarizes);
      }
      return error;
    };

    let endpoints = candidates;
    for (const filter of profile.filters) {
      if (endpoints.length === 0) break;
      const before = endpoints;
      const startMs = this.#clock.now();
      try {
        endpoints = filter.instance.filter(request, before);
      } catch (thrown: unknown) {
        if (thrown instanceof RequestError) return fail(thrown);
        this.#calls.failed("Filter", filter, "threw", thrown);
        return fail(new RequestError("Internal", `filter "${filter.name}" failed`));
      }
      const durationMs = this.#clock.now() - startMs;
      this.#calls.observe("Filter", filter, durationMs);
      trace?.filters.push({ plugin: filter, before, after: endpoints, durationMs });
    }
    if (endpoints.length === 0) {
      return fail(
        new RequestError("ResourceExhausted", "no endpoints available for the given request", "rejected-saturated"),
      );
    }

    const count = endpoints.length;
    const totals = zeroedFloat64(count);
    if (trace !== undefined) {
      trace.candidates = endpoints;
      trace.totals = totals;
    }
    for (const { plugin, weight } of profile.scorers) {
      const scores = zeroedFloat64(count);
      const startMs = this.#clock.now();
      try {
        plugin.instance.score(request, endpoints, scores);
      } catch (thrown: unknown) {
        this.#calls.failed("Scorer", plugin, "threw; its scores count as 0", thrown);
        scores.fill(0);
      }
      const durationMs = this.#clock.now() - startMs;
      this.#calls.observe("Scorer", plugin, durationMs);
      let broken = false;
      for (let i = 0; i < count; i++) {
        let score = scores[i]!;
        // Written so that NaN takes the first branch.
        if (!(score >= 0)) {
          broken ||= Number.isNaN(score);
          score = 0;
          scores[i] = 0;
        } else if (score > 1) {
          score = 1;
          scores[i] = 1;
        }
        totals[i] = totals[i]! + score * weight;
      }
      if (broken) this.#calls.failed("Scorer", plugin, "gave NaN as a score; it counts as 0");
      trace?.scorers.push({ plugin, weight, scores, durationMs });
    }

    const startMs = this.#clock.now();
    let targets: readonly Endpoint[];
    try {
      targets = profile.picker.instance.pick(request, endpoints, totals);
    } catch (thrown: unknown) {
      this.#calls.failed("Picker", profile.picker, "threw", thrown);
      return fail(new RequestError("Internal", `picker "${profile.picker.name}" failed`));
    }
    const pickerDurationMs = this.#clock.now() - startMs;
    this.#calls.observe("Picker", profile.picker, pickerDurationMs);
    if (targets.length === 0) {
      this.#calls.failed("Picker", profile.picker, "picked nothing out of a non-empty list");
      return fail(new RequestError("Internal", `picker "${profile.picker.name}" picked nothing`));
    }
    if (trace !== undefined) {
      trace.picker = profile.picker;
      trace.pickerDurationMs = pickerDurationMs;
      trace.targets = targets;
      compactProfile(trace, decision?.summarizes);
    }
    return { targets, candidates: endpoints, totals };
  }
}
