import { randomUUID } from "node:crypto";
import type { PluginGraph } from "@pointsman/config";
import {
  type AttributeKey,
  admitAll,
  type Clock,
  type DecisionLog,
  type DecisionTrace,
  type Endpoint,
  type ErrorFormat,
  type ExchangeObserver,
  type HeldBodies,
  hasRole,
  type InFlightRequests,
  type InferenceRequest,
  type Logger,
  type MetricsRegistry,
  type ModelRewrites,
  type NamedPlugin,
  type Objectives,
  type OpenExchanges,
  ParserSelection,
  PluginCalls,
  PREFIX_MATCH,
  type PrefixMatch,
  RequestControl,
  RequestMetrics,
  type Role,
  type Roles,
  type Router,
  Scheduler,
  type SchedulerAttempts,
  shedWhenSaturated,
  type Timers,
} from "@pointsman/core";
import { requestWork } from "./request-work.ts";

export interface RouterEnvironment {
  readonly endpoints: () => readonly Endpoint[];
  readonly decisions: DecisionLog;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly random: () => number;
  readonly maxRequestBodyBytes: number;
  /** Counts the bodies that wait to be routed. Absent: no bound. */
  readonly heldBodies?: HeldBodies;
  /** Counts what is kept of answers. Absent: no bound. */
  readonly heldAnswers?: HeldBodies;
  readonly emitScores: boolean;
  readonly ignoreSubsetHint: boolean;
  /** Endpoint attributes whose values and ages go into decision records. */
  readonly recordedSignals: readonly AttributeKey<unknown>[];
  /** Metrics of requests are a reason to read bodies and answers; see {@link requestWork}. True when absent. */
  readonly requestMetrics?: boolean;
  /** How refusals are written; text when absent. */
  readonly errorFormat?: ErrorFormat;
  readonly objectives?: Objectives;
  readonly rewrites?: ModelRewrites;
  /** Counts scheduling runs; one of the router's own when absent. */
  readonly attempts?: SchedulerAttempts;
  /** Where requests in flight are kept for those who evict; absent where nobody does. */
  readonly inFlight?: InFlightRequests;
  /** Counts the exchanges that use the graph. */
  readonly open?: OpenExchanges;
  /** Follows requests and their decisions; absent without tracing. */
  readonly tracing?: {
    readonly observer: ExchangeObserver;
    onDecision(request: InferenceRequest, decision: DecisionTrace): void;
  };
}

/** Wires a plugin graph into what data planes enter through. */
export function createRouter(graph: PluginGraph, environment: RouterEnvironment): Router {
  const { clock, logger, metrics, timers, objectives, rewrites, attempts, inFlight, tracing } = environment;
  const work = requestWork(graph, {
    requestMetrics: environment.requestMetrics ?? true,
    rewrites: rewrites !== undefined && rewrites.isEmpty === undefined,
    eviction: inFlight !== undefined,
  });
  const calls = new PluginCalls(metrics, logger);
  const scheduler = new Scheduler({
    profiles: graph.profiles,
    profileHandler: graph.profileHandler,
    calls,
    clock,
    metrics,
    ...(attempts === undefined ? {} : { attempts }),
  });
  const withRole = <R extends Role>(role: R): NamedPlugin<Roles[R]>[] =>
    graph.plugins.flatMap(({ name, type, instance }) => (hasRole(instance, role) ? [{ name, type, instance }] : []));
  const control = new RequestControl({
    scheduler,
    endpoints: environment.endpoints,
    requestHeaderProcessors: withRole("requestHeaderProcessor"),
    screeners: withRole("screener"),
    producers: graph.producers,
    admitters: withRole("admitter"),
    preRequests: withRole("preRequest"),
    admission:
      graph.saturationDetector === undefined
        ? admitAll
        : shedWhenSaturated(graph.saturationDetector, environment.endpoints),
    ...(objectives === undefined ? {} : { objectives }),
    ...(rewrites === undefined ? {} : { rewrites }),
    ignoreSubsetHint: environment.ignoreSubsetHint,
    prefixMatches: prefixMatches(graph),
    recordedSignals: environment.recordedSignals,
    decisions: environment.decisions,
    ...(tracing === undefined ? {} : { onDecision: tracing.onDecision }),
    calls,
    clock,
    timers,
  });
  return {
    control,
    parsers: new ParserSelection(graph.parsers),
    responseHeaderProcessors: withRole("responseHeaderProcessor"),
    responseBodyProcessors: withRole("responseBodyProcessor"),
    metrics: new RequestMetrics(metrics, (model) => rewrites?.names?.(model) === true),
    calls,
    clock,
    logger,
    random: environment.random,
    newRequestId: randomUUID,
    maxRequestBodyBytes: environment.maxRequestBodyBytes,
    ...(environment.heldBodies === undefined ? {} : { heldBodies: environment.heldBodies }),
    ...(environment.heldAnswers === undefined ? {} : { heldAnswers: environment.heldAnswers }),
    emitScores: environment.emitScores,
    // Rules may come and go.
    get readsRequestBodies() {
      return work.body.length > 0 || rewrites?.isEmpty === false;
    },
    readsResponses: work.response.length > 0,
    errorFormat: environment.errorFormat ?? "text",
    ...(inFlight === undefined ? {} : { inFlight }),
    ...(environment.open === undefined ? {} : { open: environment.open }),
    ...(tracing === undefined ? {} : { observer: tracing.observer }),
  };
}

/** Whatever producer tells of prefixes: the one that plugins read, else the default one. */
function prefixMatches(graph: PluginGraph): readonly AttributeKey<PrefixMatch>[] {
  const byDefault = PREFIX_MATCH.from();
  const read = graph.consumed.filter(({ dataType }) => dataType === byDefault.dataType);
  // Keys of one data type have one value type.
  return read.length === 0 ? [byDefault] : (read as AttributeKey<PrefixMatch>[]);
}
