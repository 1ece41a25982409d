import type { AttributeKey } from "../attributes/attribute-key.ts";
import { PREFIX_MATCH, type PrefixMatch } from "../attributes/prefix-match.ts";
import { AGENT_IDENTITY } from "../attributes/request-attributes.ts";
import { TOKENIZED_PROMPT } from "../attributes/tokenized-prompt.ts";
import type { Clock, Timers } from "../clock.ts";
import type { DecisionLog } from "../decision/decision-log.ts";
import { captureSignals, type DecisionTrace, maxRecordedEndpoints } from "../decision/decision-record.ts";
import type { Endpoint } from "../endpoint.ts";
import { fairnessIdOf } from "../fairness-id.ts";
import type { Admitter, PreRequest, RequestHeaderProcessor, Screener } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import type { InferenceRequest } from "../request.ts";
import { RequestError } from "../request-error.ts";
import type { ExtensionPoint, PluginCalls } from "../scheduling/plugin-calls.ts";
import type { Scheduler } from "../scheduling/scheduler.ts";
import { aliasedHeaders } from "../wire-names.ts";
import type { AdmissionController } from "./admission.ts";
import { applySubset, preferReachable, subsetHint } from "./candidates.ts";
import { conditionalDecodeMiss } from "./conditional-decode.ts";
import { applyModelRewrite, type ModelRewrites, type Objectives } from "./model-rewrite.ts";
import { type ProducerLevels, runProducers } from "./producer-run.ts";

export interface RequestControlOptions {
  readonly scheduler: Scheduler;
  readonly endpoints: () => readonly Endpoint[];
  readonly requestHeaderProcessors: readonly NamedPlugin<RequestHeaderProcessor>[];
  readonly screeners: readonly NamedPlugin<Screener>[];
  readonly producers: ProducerLevels;
  readonly admitters: readonly NamedPlugin<Admitter>[];
  readonly preRequests: readonly NamedPlugin<PreRequest>[];
  readonly admission: AdmissionController;
  readonly objectives?: Objectives;
  readonly rewrites?: ModelRewrites;
  /** Ignore the proxy's subset hint. */
  readonly ignoreSubsetHint: boolean;
  /** Endpoint attributes that the configured plugins read; their values and ages go into decision records. */
  readonly recordedSignals: readonly AttributeKey<unknown>[];
  /** What tells whether an endpoint holds part of a prompt, for conditional decode; that of the default producer when absent. */
  readonly prefixMatches?: readonly AttributeKey<PrefixMatch>[];
  readonly decisions: DecisionLog;
  /** Hears of every finished record. Must not throw. */
  onDecision?(request: InferenceRequest, trace: DecisionTrace): void;
  readonly calls: PluginCalls;
  readonly clock: Clock;
  readonly timers: Timers;
}

const noCandidates = (): RequestError =>
  new RequestError(
    "ServiceUnavailable",
    "failed to find endpoint candidates for serving the request",
    "rejected-no-endpoints",
  );

/**
 * Takes a parsed request through the stages that end in a decision, in this order: model rewrite, objective, request
 * header plugins, fairness id, admission, candidates, screeners, producers, admitters, scheduling, conditional decode,
 * pre-request plugins. Plugins of one kind run in configuration order.
 *
 * Source: spec ext-proc section 5.
 */
export class RequestControl {
  readonly #options: RequestControlOptions;
  readonly #prefixMatches: readonly AttributeKey<PrefixMatch>[];

  constructor(options: RequestControlOptions) {
    this.#options = options;
    this.#prefixMatches = options.prefixMatches ?? [PREFIX_MATCH.from()];
  }

  /**
   * Decides where the request goes. Returns a promise only if a stage had to wait. Never throws or rejects.
   *
   * `decided` is called before the pre-request plugins learn of a decision. From then on the response plugins are owed
   * their last event, also if a pre-request plugin refuses the request.
   */
  route(
    request: InferenceRequest,
    decided?: (result: SchedulingResult) => void,
  ): SchedulingResult | RequestError | Promise<SchedulingResult | RequestError> {
    const { clock, decisions } = this.#options;
    const startMs = clock.now();
    request.nowMs = startMs;
    const trace = decisions.begin();
    const finish = (outcome: SchedulingResult | RequestError): SchedulingResult | RequestError => {
      if (trace !== undefined) this.#finishTrace(trace, request, outcome, clock.now() - startMs);
      return outcome;
    };

    const refused = this.#beforeAdmission(request, trace);
    if (refused !== undefined) return finish(refused);

    const admission = this.#admit(request);
    if (admission instanceof Promise) {
      return admission
        .then((denied) => {
          trace?.stages.push({
            stage: "admission",
            plugin: undefined,
            durationMs: clock.now() - startMs,
            remaining: undefined,
            problem: denied?.message,
          });
          return denied ?? this.#afterAdmission(request, trace, decided);
        })
        .then(finish);
    }
    if (admission !== undefined) return finish(admission);
    const routed = this.#afterAdmission(request, trace, decided);
    return routed instanceof Promise ? routed.then(finish) : finish(routed);
  }

  /** Endpoints that a request with this metadata may go to, without looking at the request itself. */
  candidates(request: Pick<InferenceRequest, "proxyMetadata">): readonly Endpoint[] {
    const all = this.#options.endpoints();
    const hint = this.#options.ignoreSubsetHint ? undefined : subsetHint(request.proxyMetadata);
    return preferReachable(hint === undefined ? all : applySubset(all, hint));
  }

  #beforeAdmission(request: InferenceRequest, trace: DecisionTrace | undefined): RequestError | undefined {
    const unknownModel = applyModelRewrite(request, this.#options.rewrites);
    if (unknownModel !== undefined) return unknownModel;
    const objective = request.headers.getAliased(aliasedHeaders.objective);
    if (objective !== undefined) request.priority = this.#options.objectives?.priorityOf(objective) ?? 0;
    const error = this.#hooks("RequestHeader", this.#options.requestHeaderProcessors, trace, (plugin) =>
      plugin.requestHeaders(request),
    );
    if (error !== undefined) return error;
    request.fairnessId = fairnessIdOf(request.headers, request.attributes.get(AGENT_IDENTITY));
    return undefined;
  }

  /** Asks the admission controller; one that throws or rejects costs this request only. */
  #admit(request: InferenceRequest): undefined | RequestError | Promise<undefined | RequestError> {
    const { admission, calls } = this.#options;
    const failed = (thrown: unknown): RequestError => {
      if (thrown instanceof RequestError) return thrown;
      const controller = { name: "admission-controller", type: "admission-controller", instance: admission };
      calls.failed("Admission", controller, "threw", thrown);
      return new RequestError("Internal", "admission failed; see the log of the endpoint picker");
    };
    try {
      const admitted = admission.admit(request);
      return admitted instanceof Promise ? admitted.catch(failed) : admitted;
    } catch (thrown: unknown) {
      return failed(thrown);
    }
  }

  #afterAdmission(
    request: InferenceRequest,
    trace: DecisionTrace | undefined,
    decided: ((result: SchedulingResult) => void) | undefined,
  ): SchedulingResult | RequestError | Promise<SchedulingResult | RequestError> {
    const { clock, timers, calls, screeners, producers } = this.#options;
    let candidates = this.candidates(request);
    if (trace !== undefined) {
      trace.knownEndpoints = this.#options.endpoints().length;
      trace.stages.push({
        stage: "candidates",
        plugin: undefined,
        durationMs: 0,
        remaining: candidates.length,
        problem: undefined,
      });
    }
    if (candidates.length === 0) return noCandidates();
    if (screeners.length > 0) {
      candidates = this.#screen(request, candidates, trace);
      if (candidates.length === 0) {
        return new RequestError(
          "ServiceUnavailable",
          "screeners eliminated all endpoint candidates",
          "rejected-no-endpoints",
        );
      }
    }
    const waiting = runProducers(producers, request, candidates, trace?.stages, { calls, clock, timers });
    return waiting === undefined
      ? this.#decide(request, candidates, trace, decided)
      : waiting.then(() => this.#decide(request, candidates, trace, decided));
  }

  #screen(
    request: InferenceRequest,
    candidates: readonly Endpoint[],
    trace: DecisionTrace | undefined,
  ): readonly Endpoint[] {
    const { calls, clock } = this.#options;
    let left = candidates;
    for (const screener of this.#options.screeners) {
      const startMs = clock.now();
      let problem: string | undefined;
      try {
        const kept = new Set(screener.instance.screen(request, candidates));
        left = left.filter((endpoint) => kept.has(endpoint));
      } catch (thrown: unknown) {
        // A screener guards correctness (for instance, which revision may serve): without its answer nothing is safe.
        calls.failed("Screener", screener, "threw; it keeps no endpoint", thrown);
        problem = "threw";
        left = [];
      }
      const durationMs = clock.now() - startMs;
      calls.observe("Screener", screener, durationMs);
      trace?.stages.push({ stage: "screener", plugin: screener, durationMs, remaining: left.length, problem });
    }
    return left;
  }

  #decide(
    request: InferenceRequest,
    candidates: readonly Endpoint[],
    trace: DecisionTrace | undefined,
    decided: ((result: SchedulingResult) => void) | undefined,
  ): SchedulingResult | RequestError {
    const denied = this.#hooks("Admission", this.#options.admitters, trace, (plugin) =>
      plugin.admitRequest(request, candidates),
    );
    if (denied !== undefined) return denied;
    const result = this.#options.scheduler.schedule(request, candidates, trace);
    // Before the plugins that record the decision drop what they kept for it.
    if (trace !== undefined) this.#captureSignals(trace, request);
    if (result instanceof RequestError) return result;
    const missed = conditionalDecodeMiss(request, result, this.#prefixMatches);
    if (missed !== undefined) return missed;
    decided?.(result);
    return this.#preRequests(request, result, trace) ?? result;
  }

  /** Runs all, also after one failed: later ones may have to record the decision. */
  #preRequests(
    request: InferenceRequest,
    result: SchedulingResult,
    trace: DecisionTrace | undefined,
  ): RequestError | undefined {
    const failures: { readonly plugin: NamedPlugin<PreRequest>; readonly error: RequestError }[] = [];
    for (const plugin of this.#options.preRequests) {
      const error = this.#hooks("PreRequest", [plugin], trace, (instance) => instance.preRequest(request, result));
      if (error !== undefined) failures.push({ plugin, error });
    }
    if (failures.length <= 1) return failures[0]?.error;
    return new RequestError(
      "Internal",
      failures
        .map(({ plugin, error }) => `PreRequest "${plugin.name}/${plugin.type}" failed: ${error.message}`)
        .join("\n"),
    );
  }

  /** Calls one hook of each plugin in order until one refuses. */
  #hooks<I>(
    point: ExtensionPoint,
    plugins: readonly NamedPlugin<I>[],
    trace: DecisionTrace | undefined,
    call: (instance: I) => RequestError | undefined,
  ): RequestError | undefined {
    const { calls, clock } = this.#options;
    for (const plugin of plugins) {
      const startMs = clock.now();
      let error: RequestError | undefined;
      try {
        error = call(plugin.instance);
      } catch (thrown: unknown) {
        if (thrown instanceof RequestError) error = thrown;
        else {
          calls.failed(point, plugin, "threw", thrown);
          error = new RequestError("Internal", `plugin "${plugin.name}" failed`);
        }
      }
      const durationMs = clock.now() - startMs;
      calls.observe(point, plugin, durationMs);
      trace?.stages.push({ stage: point, plugin, durationMs, remaining: undefined, problem: error?.message });
      if (error !== undefined) return error;
    }
    return undefined;
  }

  #captureSignals(trace: DecisionTrace, request: InferenceRequest): void {
    const primary = trace.profiles.find((profile) => profile.profile === trace.primaryProfile) ?? trace.profiles.at(-1);
    trace.signalEndpoints = primary?.candidates.slice(0, maxRecordedEndpoints) ?? [];
    trace.signals = captureSignals(trace.signalEndpoints, this.#options.recordedSignals, request);
  }

  #finishTrace(
    trace: DecisionTrace,
    request: InferenceRequest,
    outcome: SchedulingResult | RequestError,
    durationMs: number,
  ): void {
    trace.requestId = request.id;
    trace.model = request.incomingModel;
    trace.targetModel = request.targetModel;
    trace.priority = request.priority;
    trace.fairnessId = request.fairnessId;
    trace.promptTokens = request.attributes.get(TOKENIZED_PROMPT.from())?.totalTokens;
    trace.durationMs = durationMs;
    trace.outcome = outcome instanceof RequestError ? outcome : "routed";
    this.#options.onDecision?.(request, trace);
  }
}
