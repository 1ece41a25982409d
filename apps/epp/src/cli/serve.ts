import { statSync } from "node:fs";
import { formatProblem, type PluginGraph } from "@pointsman/config";
import { createTimers, errorText, type Logger, systemClock } from "@pointsman/core";
import { Datastore, ObjectiveStore, RewriteStore } from "@pointsman/datastore";
import { createLogger, createPrometheusMetrics, type PrometheusMetrics } from "@pointsman/telemetry";
import type { Tracing } from "@pointsman/tracing";
import { parseFlags } from "../flags/parse-flags.ts";
import { type ServeOptions, serveOptions } from "../flags/serve-options.ts";
import { ConfigReload } from "../process/config-reload.ts";
import { type EppParts, EppProcess } from "../process/epp-process.ts";
import { tellReadiness } from "../process/kubernetes-readiness.ts";
import { loadGraph } from "../process/load-graph.ts";
import { loadTracing } from "../process/load-tracing.ts";
import { leaveSignals } from "../process/start-signals.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode } from "./output.ts";
import { eppVersion } from "./version.ts";

/** Time for output that is on its way once everything has stopped. */
const lingerMs = 1000;

export const serveCommand: Command = {
  async run(args) {
    const flags = parseFlags(args);
    const options = "problems" in flags ? flags : serveOptions(flags, process.env);
    if ("problems" in options) {
      for (const problem of options.problems) complain(`epp: ${problem}`);
      return exitCode.badInput;
    }
    const metrics = createPrometheusMetrics({
      processMetrics: true,
      deprecatedNames: options.deprecatedMetrics,
    });
    const dropped = metrics.counter({
      name: "llm_d_epp_log_lines_dropped_total",
      help: "Log lines left out because too many had the same message.",
      labelNames: ["level"],
    });
    const logger = createLogger({ level: options.logLevel, onDropped: (level) => dropped.labels(level).inc() });
    const unhandled = metrics.counter({
      name: "llm_d_epp_unhandled_rejections_total",
      help: "Promises that failed with nobody waiting for them, as those of a plugin do whose method should not be async.",
    });
    // Such a promise must not take the other requests with it.
    process.on("unhandledRejection", (thrown) => {
      unhandled.labels().inc();
      const stack = thrown instanceof Error ? thrown.stack : undefined;
      logger.error({ problem: errorText(thrown), stack }, "a promise failed that nobody waited for");
    });
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
          {
            code: problem.code,
            file: problem.file,
            line: problem.line,
            column: problem.column,
            help: problem.help,
          },
          problem.message,
        );
    }
    if (graph === undefined || effective === undefined) return exitCode.badInput;
    if (graph.discovery === undefined && options.kubernetes === undefined) {
      complain(
        "epp: nothing says where the endpoints are. Pass --pool-name NAME (an InferencePool of Kubernetes), " +
          "--endpoint-selector SELECTOR with --endpoint-target-ports PORTS (pods of Kubernetes), or --endpoints-file FILE, " +
          "or add a file-discovery plugin and dataLayer.discovery to the configuration.",
      );
      await graph.dispose();
      return exitCode.badInput;
    }
    let tracing: Tracing | undefined;
    let kubernetes: Pick<EppParts, "kubernetes" | "objectives" | "rewrites"> | undefined;
    try {
      if (graph.discovery === undefined) kubernetes = await connect(options, graph, datastore, logger, metrics);
      else warnOfIdleFlags(options, logger);
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
      ...kubernetes,
      onLeadershipLost: () => signalled.fail(),
    });
    // Before the start, so that no signal after "ready" finds nobody.
    const signalled = untilSignal(epp, endingSignals(options), options.drainTimeoutMs, logger);
    let reload: ConfigReload | undefined;
    if (options.configFile !== "") {
      process.on("SIGHUP", () => {
        if (reload === undefined)
          logger.info({ file: options.configFile }, "SIGHUP has no effect: the file is not followed");
        else reload.reload();
      });
    }
    try {
      const ports = await epp.start();
      if (options.configFile !== "" && options.configReload) {
        // A pipe has nothing more to say, and opening it again would wait for a writer without end.
        if (statSync(options.configFile, { throwIfNoEntry: false })?.isFile() === false) {
          logger.warn({ file: options.configFile }, "--config-file is no regular file: changes are not followed");
        } else reload = followConfig(options, loaded.text, epp, { logger, metrics, datastore });
      }
      const fields = () => ({ ...ports, pool: options.poolName, endpoints: datastore.snapshot().length });
      if (kubernetes === undefined) logger.info(fields(), "ready");
      else {
        logger.info({ ...ports, pool: options.poolName }, "listening");
        const timers = createTimers("readiness", logger);
        tellReadiness({ notReady: () => epp.notReady(), readyFields: fields, clock: systemClock, timers, logger });
      }
    } catch (thrown: unknown) {
      signalled.forget();
      complain(`epp: ${errorText(thrown)}`);
      return exitCode.failed;
    }
    const code = await signalled.ended;
    // What still runs, such as a call to a collector that does not answer, does not keep a process that has stopped.
    setTimeout(() => process.exit(), lingerMs).unref();
    return code;
  },
};

/** Puts changes of the configuration file to work. */
function followConfig(
  options: ServeOptions,
  current: string,
  epp: EppProcess,
  parts: { readonly logger: Logger; readonly metrics: PrometheusMetrics; readonly datastore: Datastore },
): ConfigReload {
  return new ConfigReload({
    ...parts,
    file: options.configFile,
    current,
    load: (configFileText) => loadGraph({ ...options, configFileText }, { ...options, ...parts, replaces: epp.graph }),
    use: (graph, effective) => epp.replaceGraph(graph, effective),
    timers: createTimers("config-reload", parts.logger),
  });
}

/** Takes the endpoints from Kubernetes, and with an InferencePool objectives and rewrite rules, too. */
async function connect(
  options: ServeOptions,
  graph: PluginGraph,
  datastore: Datastore,
  logger: Logger,
  metrics: PrometheusMetrics,
): Promise<Pick<EppParts, "kubernetes" | "objectives" | "rewrites">> {
  const origin = options.kubernetes;
  if (origin === undefined) return {};
  // Loaded where it is used: a picker with a file of endpoints has nothing to do with it.
  const { connectKubernetes } = await import("../process/kubernetes.ts");
  const objectives = new ObjectiveStore({ logger });
  const rewrites = new RewriteStore({ random: Math.random, metrics, logger });
  const kubernetes = await connectKubernetes({
    ...options,
    kubernetes: origin,
    populateStandbys: graph.featureGates.get("haPopulateNonLeaderDatastore") ?? true,
    datastore,
    objectives,
    rewrites,
    plugins: graph.plugins,
    logger,
    metrics,
  });
  return origin.kind === "InferencePool" ? { kubernetes, objectives, rewrites } : { kubernetes };
}

function warnOfIdleFlags({ kubernetes, leaderElection }: ServeOptions, logger: Logger): void {
  if (kubernetes?.kind === "selector") {
    logger.warn({}, "--endpoint-selector has no effect: the configuration finds its endpoints through a plugin");
  }
  if (leaderElection) {
    logger.warn({}, "--ha-enable-leader-election has no effect with a discovery plugin: every replica serves");
  }
}

/** A picker without a configuration file has nothing that SIGHUP could read again: its terminal is gone. */
function endingSignals({ configFile }: ServeOptions): readonly NodeJS.Signals[] {
  return configFile === "" ? ["SIGTERM", "SIGINT", "SIGHUP"] : ["SIGTERM", "SIGINT"];
}

/**
 * Drains at the first of `signals`; `ended` is the exit code then. A second signal ends the process at once, and so
 * does one during the start. `fail` drains and ends with the code of a failure.
 */
function untilSignal(
  epp: EppProcess,
  signals: readonly NodeJS.Signals[],
  drainTimeoutMs: number,
  logger: Logger,
): { readonly ended: Promise<number>; forget(): void; fail(): void } {
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  // Servers and timers may all be unreferenced or idle; the process lives until it is told to end.
  const alive = setInterval(() => {}, 60_000);
  let received = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    received++;
    if (received > 1) {
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
    drain(exitCode.ok);
  };
  const drain = (code: number): void => {
    epp.drain().then(
      () => {
        logger.info({}, "stopped");
        forget();
        end(code);
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
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  leaveSignals();
  const fail = (): void => {
    // What is open is finished; a signal that comes now ends the process at once.
    received++;
    drain(exitCode.failed);
  };
  return { ended, forget, fail };
}
