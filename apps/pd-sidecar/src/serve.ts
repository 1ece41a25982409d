import { readFileSync } from "node:fs";
import { errorText, type Logger } from "@pointsman/core";
import {
  flagHelp,
  type PoolTargets,
  resolveOptions,
  type Sidecar,
  type SidecarTracing,
  startSidecar,
} from "@pointsman/pd-sidecar";
import { guardProcess, stopOnSignal, stopSignal } from "@pointsman/pd-sidecar/shared";
import { createLogger, createPrometheusMetrics, type PrometheusMetrics } from "@pointsman/telemetry";

const usage = `Usage: pd-sidecar [flags]
       pd-sidecar demo [--once] [--help]

Runs prefill, encode and decode of one request on different model servers. It stands beside a decode server.
Settings come from flags, then --configuration or --configuration-file, then the environment.

Flags:
`;

/**
 * Runs the sidecar until SIGTERM or SIGINT. Resolves with the exit code: 0 after an orderly end, 1 when it cannot start or
 * had to cut requests, 2 for settings that are wrong.
 */
export async function serve(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(usage + flagHelp());
    return 0;
  }
  if (args.includes("--version")) {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  const resolved = resolveOptions(args, environment);
  if ("problems" in resolved) {
    for (const problem of resolved.problems) process.stderr.write(`pd-sidecar: ${problem}\n`);
    return 2;
  }
  const { options, logLevel, warnings } = resolved;
  const logger = createLogger({ level: logLevel });
  for (const warning of warnings) logger.warn({ warning }, "a setting needs attention");
  guardProcess(logger);
  const stopped = stopSignal();
  const giveUp = new AbortController();
  void stopped.then(() => giveUp.abort());
  const metrics = createPrometheusMetrics({ processMetrics: true });
  let sidecar: Sidecar;
  try {
    sidecar = await startSidecar(options, {
      tracing: options.tracing ? await loadTracing(environment, logger) : undefined,
      poolTargets: options.targets.pool === undefined ? undefined : await loadPoolTargets(environment, metrics),
      signal: giveUp.signal,
      logger,
      metrics,
    });
  } catch (thrown: unknown) {
    if (giveUp.signal.aborted) {
      logger.info({ reason: errorText(thrown) }, "stopped");
      return 0;
    }
    logger.error({ problem: errorText(thrown) }, "the sidecar cannot start");
    return 1;
  }
  logger.info(
    {
      ports: sidecar.ports,
      metricsPort: sidecar.metricsPort,
      kvConnector: options.kvConnector,
      ecConnector: options.ecConnector,
      decoders: options.ranks.map((rank) => rank.decoder.hostPort),
      secure: options.secureProxy,
      prefillFailurePolicy: options.prefillFailurePolicy,
    },
    "ready",
  );
  return await stopOnSignal(sidecar, stopped, options.shutdownTimeoutMs, logger);
}

/** Nothing of tracing is in memory unless it is asked for. */
async function loadTracing(
  environment: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): Promise<SidecarTracing | undefined> {
  const { startSidecarTracing } = await import("./sidecar-tracing.ts");
  return await startSidecarTracing(environment, version(), logger);
}

/** Nothing of Kubernetes is in memory unless a pool is named. */
async function loadPoolTargets(
  environment: Readonly<Record<string, string | undefined>>,
  metrics: PrometheusMetrics,
): Promise<PoolTargets> {
  const { kubernetesPoolTargets } = await import("./pool-targets.ts");
  return kubernetesPoolTargets(environment, metrics);
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const hasVersion = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return hasVersion ? String(manifest.version) : "unknown";
}
