import { DiagLogLevel, diag, type Tracer } from "@opentelemetry/api";
import {
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { EppError, errorText, type Logger } from "@pointsman/core";

/** Longest wait for the last spans at the end. */
const shutdownTimeoutMs = 5_000;
const defaultRatio = 0.1;

export interface SpanExportOptions {
  /**
   * `OTEL_TRACES_EXPORTER`, `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. The library reads the rest from the
   * process's: `OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Name of the service, unless the environment has another. */
  readonly service: string;
  /** Version of the service. */
  readonly version: string;
  readonly logger: Logger;
}

/** A running exporter of spans. */
export interface SpanExport {
  tracer(scope: string): Tracer;
  /** Sends what is left, for up to five seconds, and stops. */
  shutdown(): Promise<void>;
}

/**
 * Starts to export spans as the environment says, or returns `undefined` when it asks for no exporter or one that is not
 * known here, which is logged. Rejects with `EPP_TRACING` when the exporter cannot be made.
 */
export async function startSpanExport(options: SpanExportOptions): Promise<SpanExport | undefined> {
  const { environment, logger } = options;
  diag.setLogger(diagLogger(logger), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const exporter = await exporterOf(environment, logger);
  if (exporter === undefined) return undefined;
  const ratio = samplingRatio(environment, logger);
  const provider = new TracerProvider({
    resource: resourceOf(options.service, options.version),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  logger.info({ exporter: environment["OTEL_TRACES_EXPORTER"] || "console", ratio }, "tracing is on");
  return {
    tracer: (scope) => provider.getTracer(scope, options.version),
    async shutdown() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(() => {
          logger.warn({ waitedMs: shutdownTimeoutMs }, "the last spans could not be exported in time");
          resolve();
        }, shutdownTimeoutMs);
      });
      const done = provider.shutdown().catch((thrown: unknown) => {
        logger.warn({ problem: errorText(thrown) }, "the last spans could not be exported");
      });
      await Promise.race([done, late]);
      clearTimeout(timer);
    },
  };
}

async function exporterOf(
  environment: SpanExportOptions["environment"],
  logger: Logger,
): Promise<SpanExporter | undefined> {
  const name = environment["OTEL_TRACES_EXPORTER"] ?? "";
  switch (name) {
    case "otlp":
      try {
        const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
        return new OTLPTraceExporter();
      } catch (thrown: unknown) {
        throw new EppError("EPP_TRACING", `OTEL_TRACES_EXPORTER=otlp: ${errorText(thrown)}`, { cause: thrown });
      }
    case "":
    case "console":
      return new ConsoleSpanExporter();
    case "none":
      return undefined;
    default:
      logger.error({ exporter: name }, "OTEL_TRACES_EXPORTER is not otlp, console or none: no spans are exported");
      return undefined;
  }
}

/** Source: spec ext-proc section 10.9. */
function samplingRatio(environment: SpanExportOptions["environment"], logger: Logger): number {
  const sampler = environment["OTEL_TRACES_SAMPLER"] ?? "";
  if (sampler !== "" && sampler !== "parentbased_traceidratio") {
    logger.error(
      { sampler, ratio: defaultRatio },
      "OTEL_TRACES_SAMPLER is not parentbased_traceidratio, which is used",
    );
    return defaultRatio;
  }
  const text = environment["OTEL_TRACES_SAMPLER_ARG"] ?? "";
  if (text === "") return defaultRatio;
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  logger.error({ arg: text, ratio: defaultRatio }, "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1");
  return defaultRatio;
}

/** `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win. */
function resourceOf(service: string, version: string): Resource {
  const own = resourceFromAttributes({ "service.name": service, "service.version": version });
  return own.merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }));
}

/** No request fails over what the library reports, so these are warnings. */
function diagLogger(logger: Logger) {
  const warn = (message: string): void =>
    logger.warn({ problem: problemOf(message).slice(0, 500) }, "OpenTelemetry reports a problem");
  return { error: warn, warn, info: () => {}, debug: () => {}, verbose: () => {} };
}

/** The library writes errors as JSON of all their fields, the stack first. */
function problemOf(message: string): string {
  try {
    const fields: unknown = JSON.parse(message);
    if (typeof fields === "object" && fields !== null && "message" in fields) return String(fields.message);
  } catch {
    // A text.
  }
  return message;
}
