import { formatProblem } from "@pointsman/config";
import { errorText } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { createLogger, createPrometheusMetrics } from "@pointsman/telemetry";
import { parseFlags } from "../flags/parse-flags.ts";
import { serveOptions } from "../flags/serve-options.ts";
import { EppProcess } from "../process/epp-process.ts";
import { loadGraph } from "../process/load-graph.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode } from "./output.ts";

export const serveCommand: Command = {
  async run(args) {
    const flags = parseFlags(args);
    const options = "problems" in flags ? flags : serveOptions(flags, process.env);
    if ("problems" in options) {
      for (const problem of options.problems) complain(`epp: ${problem}`);
      return exitCode.badInput;
    }
    const logger = createLogger({ level: options.logLevel });
    for (const warning of options.warnings) logger.warn({}, warning);
    const metrics = createPrometheusMetrics({ processMetrics: true });
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
    const epp = new EppProcess({ options, effective, graph, datastore, logger, metrics });
    try {
      const ports = await epp.start();
      logger.info({ ...ports, pool: options.poolName, endpoints: datastore.snapshot().length }, "ready");
    } catch (thrown: unknown) {
      complain(`epp: ${errorText(thrown)}`);
      return exitCode.failed;
    }
    return untilSignal(epp, logger);
  },
};

/** Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once. */
function untilSignal(epp: EppProcess, logger: ReturnType<typeof createLogger>): Promise<number> {
  return new Promise((resolve) => {
    // Servers and timers may all be unreferenced or idle; the process lives until it is told to end.
    const alive = setInterval(() => {}, 60_000);
    let signals = 0;
    const onSignal = (signal: NodeJS.Signals): void => {
      signals++;
      if (signals > 1) {
        logger.warn({ signal }, "second signal: ending at once");
        process.exit(exitCode.failed);
      }
      logger.info({ signal }, "draining: open requests may finish");
      epp.drain().then(
        () => {
          clearInterval(alive);
          logger.info({}, "stopped");
          resolve(exitCode.ok);
        },
        (thrown: unknown) => {
          clearInterval(alive);
          logger.error({ problem: errorText(thrown) }, "draining failed");
          resolve(exitCode.failed);
        },
      );
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
