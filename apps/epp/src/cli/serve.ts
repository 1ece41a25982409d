import { formatProblem } from "@pointsman/config";
import { errorText, type Logger } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { createLogger, createPrometheusMetrics } from "@pointsman/telemetry";
import type { Tracing } from "@pointsman/tracing";
import { parseFlags } from "../flags/parse-flags.ts";
import { serveOptions } from "../flags/serve-options.ts";
import { EppProcess } from "../process/epp-process.ts";
import { loadGraph } from "../process/load-graph.ts";
import { loadTracing } from "../process/load-tracing.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode } from "./output.ts";
import { eppVersion } from "./version.ts";

export const serveCommand: Command = {
  async run(args) {
    const flags = parseFlags(args);
    const options = "problems" in flags ? flags : serveOptions(flags, process.env);
    if ("problems" in options) {
      for (const problem of options.problems) complain(`epp: ${problem}`);
      return exitCode.badInput;
    }
    const metrics = createPrometheusMetrics({ processMetrics: true });
    const dropped = metrics.counter({
      name: "llm_d_epp_log_lines_dropped_total",
      help: "Log lines left out because too many had the same message.",
      labelNames: ["level"],
    });
    const logger = createLogger({ level: options.logLevel, onDropped: (level) => dropped.labels(level).inc() });
    for (const warning of options.warnings) logger.warn({}, warning);
    const datastore = new Datastore({
      pool: { name: options.poolName, namespace: options.poolNamespace, appProtocol: undefined },
      logger,
    });
    const loaded = await loadGraph(options, { ...options, logger, metrics, datastore });
    if ("unreadable" in loaded) {
      complain(`epp: ${loaded.unreadable}`);
      return exitCode.badInput;
    }
    const { graph, effective, problems } = loaded;
    for (const problem of problems) {
      if (problem.severity === "error") complain(formatProblem(problem));
      else
        logger.warn(
          { code: problem.code, file: problem.file, line: problem.line, column: problem.column },
          problem.message,
        );
    }
    if (graph === undefined || effective === undefined) return exitCode.badInput;
    if (graph.discovery === undefined) {
      complain(
        "epp: nothing says where the endpoints are. Pass --endpoints-file FILE, or add a file-discovery plugin and " +
          "dataLayer.discovery to the configuration. Discovery through Kubernetes is not part of this version.",
      );
      await graph.dispose();
      return exitCode.failed;
    }
    let tracing: Tracing | undefined;
    try {
      if (options.tracing) tracing = await loadTracing(eppVersion(), logger);
    } catch (thrown: unknown) {
      complain(`epp: ${errorText(thrown)}`);
      await graph.dispose();
      return exitCode.failed;
    }
    const epp = new EppProcess({
      options,
      effective,
      graph,
      datastore,
      logger,
      metrics,
      ...(tracing === undefined ? {} : { tracing }),
    });
    // Before the start, so that no signal after "ready" finds nobody.
    const signalled = untilSignal(epp, options.drainTimeoutMs, logger);
    try {
      const ports = await epp.start();
      logger.info({ ...ports, pool: options.poolName, endpoints: datastore.snapshot().length }, "ready");
    } catch (thrown: unknown) {
      signalled.forget();
      complain(`epp: ${errorText(thrown)}`);
      return exitCode.failed;
    }
    return signalled.ended;
  },
};

/**
 * Drains at the first SIGTERM or SIGINT; `ended` is the exit code then. A second signal ends the process at once, and so
 * does one during the start.
 */
function untilSignal(
  epp: EppProcess,
  drainTimeoutMs: number,
  logger: Logger,
): { readonly ended: Promise<number>; forget(): void } {
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  // Servers and timers may all be unreferenced or idle; the process lives until it is told to end.
  const alive = setInterval(() => {}, 60_000);
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    signals++;
    if (signals > 1) {
      logger.warn({ signal }, "second signal: ending at once");
      process.exit(exitCode.failed);
    }
    if (!epp.isStarted) {
      logger.info({ signal }, "ending during the start");
      process.exit(exitCode.ok);
    }
    logger.info(
      { signal, drainTimeoutMs },
      "draining: not ready, serving on while proxies turn away; a second signal ends at once",
    );
    epp.drain().then(
      () => {
        logger.info({}, "stopped");
        forget();
        end(exitCode.ok);
      },
      (thrown: unknown) => {
        logger.error({ problem: errorText(thrown) }, "draining failed");
        forget();
        end(exitCode.failed);
      },
    );
  };
  const forget = (): void => {
    clearInterval(alive);
    process.off("SIGTERM", onSignal);
    process.off("SIGINT", onSignal);
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return { ended, forget };
}
