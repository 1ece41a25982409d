import { readFileSync } from "node:fs";
import { errorText, type Logger } from "@pointsman/core";
import {
  type Coordinator,
  type CoordinatorTracing,
  helpText,
  loadOptions,
  startCoordinator,
} from "@pointsman/pd-coordinator";
import { guardProcess, stopOnSignal, stopSignal } from "@pointsman/pd-sidecar/shared";
import { createLogger, createPrometheusMetrics, levelOfVerbosity } from "@pointsman/telemetry";

const usage = `Usage: pd-coordinator [--config FILE] [-v N] [--metrics-port N]

Serves one request in phases, each on a model server that a gateway picks.

`;

/**
 * Runs the coordinator until SIGTERM or SIGINT. Resolves with the exit code: 0 after an orderly end, 1 when it cannot
 * start or had to cut requests, 2 for settings that are wrong.
 */
export async function serve(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(usage + helpText());
    return 0;
  }
  if (args.includes("--version")) {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  const loaded = loadOptions(args, environment);
  if ("problems" in loaded) {
    for (const problem of loaded.problems) process.stderr.write(`pd-coordinator: ${problem}\n`);
    return 2;
  }
  const { options, verbosity, warnings } = loaded;
  const logger = createLogger({ level: levelOfVerbosity(verbosity) });
  for (const warning of warnings) logger.warn({ warning }, "a setting needs attention");
  guardProcess(logger);
  const stopped = stopSignal();
  let coordinator: Coordinator;
  try {
    coordinator = await startCoordinator(options, {
      logger,
      metrics: createPrometheusMetrics({ processMetrics: true }),
      tracing: options.tracing ? await loadTracing(environment, logger) : undefined,
    });
  } catch (thrown: unknown) {
    logger.error({ problem: errorText(thrown) }, "the coordinator cannot start");
    return 1;
  }
  logger.info(
    {
      port: coordinator.port,
      metricsPort: coordinator.metricsPort,
      gateway: options.gateway.address.target.hostPort,
      steps: options.steps.map(({ type }) => type),
    },
    "ready",
  );
  return await stopOnSignal(coordinator, stopped, options.shutdownTimeoutMs, logger);
}

/** Nothing of tracing is in memory unless it is asked for. */
async function loadTracing(
  environment: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): Promise<CoordinatorTracing | undefined> {
  const { startCoordinatorTracing } = await import("./coordinator-tracing.ts");
  return await startCoordinatorTracing(environment, version(), logger);
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const hasVersion = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return hasVersion ? String(manifest.version) : "unknown";
}
