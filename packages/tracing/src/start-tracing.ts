import type { Clock, DecisionTrace, ExchangeObserver, InferenceRequest, Logger } from "@pointsman/core";
import { ExchangeSpans } from "./exchange-spans.ts";
import { startSpanExport } from "./span-export.ts";

const scopePrefix = "llm-d-router/pkg/epp";

export interface TracingOptions {
  /**
   * `OTEL_TRACES_EXPORTER`, `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. The library reads the rest from the
   * process's: `OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Version of the service. */
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Running tracing: what a router needs to know of it. */
export interface Tracing {
  readonly observer: ExchangeObserver;
  onDecision(request: InferenceRequest, decision: DecisionTrace): void;
  /** Sends what is left, for up to five seconds, and stops. */
  shutdown(): Promise<void>;
}

/**
 * Starts to export the spans of a picker as the environment says, or returns `undefined` when it asks for no exporter or
 * one that is not known here, which is logged. Rejects with `EPP_TRACING` when the exporter cannot be made.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing | undefined> {
  const { environment, version, logger, clock } = options;
  const exported = await startSpanExport({ environment, service: "llm-d-epp", version, logger });
  if (exported === undefined) return undefined;
  const scope = (name: string) => exported.tracer(`${scopePrefix}/${name}`);
  const spans = new ExchangeSpans(
    { handlers: scope("handlers"), requestControl: scope("requestcontrol"), scheduling: scope("scheduling") },
    clock,
  );
  return {
    observer: spans,
    onDecision: (request, decision) => spans.decided(request, decision),
    shutdown: () => exported.shutdown(),
  };
}
