import { randomUUID } from "node:crypto";
import type { PluginGraph } from "@pointsman/config";
import {
  type AttributeKey,
  admitAll,
  type Clock,
  type DecisionLog,
  type Endpoint,
  hasRole,
  type Logger,
  type MetricsRegistry,
  type NamedPlugin,
  ParserSelection,
  PluginCalls,
  RequestControl,
  RequestMetrics,
  type Role,
  type Roles,
  type Router,
  Scheduler,
  shedWhenSaturated,
  type Timers,
} from "@pointsman/core";

export interface RouterEnvironment {
  readonly endpoints: () => readonly Endpoint[];
  readonly decisions: DecisionLog;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly random: () => number;
  readonly maxRequestBodyBytes: number;
  readonly emitScores: boolean;
  readonly ignoreSubsetHint: boolean;
  /** Endpoint attributes whose values and ages go into decision records. */
  readonly recordedSignals: readonly AttributeKey<unknown>[];
}

/** Wires a plugin graph into what data planes enter through. */
export function createRouter(graph: PluginGraph, environment: RouterEnvironment): Router {
  const { clock, logger, metrics, timers } = environment;
  const calls = new PluginCalls(metrics, logger);
  const scheduler = new Scheduler({
    profiles: graph.profiles,
    profileHandler: graph.profileHandler,
    calls,
    clock,
    metrics,
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
    ignoreSubsetHint: environment.ignoreSubsetHint,
    recordedSignals: environment.recordedSignals,
    decisions: environment.decisions,
    calls,
    clock,
    timers,
  });
  return {
    control,
    parsers: new ParserSelection(graph.parsers),
    responseHeaderProcessors: withRole("responseHeaderProcessor"),
    responseBodyProcessors: withRole("responseBodyProcessor"),
    metrics: new RequestMetrics(metrics),
    calls,
    clock,
    logger,
    random: environment.random,
    newRequestId: randomUUID,
    maxRequestBodyBytes: environment.maxRequestBodyBytes,
    emitScores: environment.emitScores,
  };
}
