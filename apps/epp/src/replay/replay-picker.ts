import { type ConfigProblem, formatProblem } from "@pointsman/config";
import { DecisionLog, hasRole, noMetrics, silentLogger } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { type PickerFactory, SeededRandom } from "@pointsman/replay";
import { createRouter } from "../process/create-router.ts";
import { loadGraph } from "../process/load-graph.ts";

/** A configuration that cannot be replayed; the message has every problem. */
export class ReplayConfigError extends Error {
  override readonly name: string = "ReplayConfigError";
}

export interface ReplayPickerOptions {
  readonly configFile: string;
  readonly allowExperimental: boolean;
  readonly stalenessMs: number;
  readonly seed: number;
}

/**
 * Makes the picker of a configuration for virtual time, with the plugins, the wiring and the request control of a real
 * start. Discovery is not started: the replay has its own servers.
 */
export function replayPicker(options: ReplayPickerOptions): PickerFactory {
  const { configFile, allowExperimental, stalenessMs, seed } = options;
  return async (time) => {
    const random = new SeededRandom(seed, 8);
    const datastore = new Datastore({
      pool: { name: "replay", namespace: "replay", appProtocol: undefined },
      synced: true,
      logger: silentLogger,
    });
    const loaded = await loadGraph(
      { configFile, configText: "", endpointsFile: "" },
      {
        allowExperimental,
        stalenessMs,
        logger: silentLogger,
        metrics: noMetrics,
        datastore,
        virtual: { clock: time, timersFor: () => time.timers(), random: () => random.uniform() },
      },
    );
    if ("unreadable" in loaded) throw new ReplayConfigError(loaded.unreadable.replace(/^--config-file: /, ""));
    const { graph, problems } = loaded;
    const errors = problems.filter((problem: ConfigProblem) => problem.severity === "error");
    if (graph === undefined || errors.length > 0) {
      await graph?.dispose();
      throw new ReplayConfigError(errors.map(formatProblem).join("\n"));
    }
    for (const { instance } of graph.plugins) {
      if (hasRole(instance, "endpointListener")) datastore.subscribe(instance);
    }
    let requests = 0;
    const router = createRouter(graph, {
      endpoints: () => datastore.snapshot(),
      decisions: new DecisionLog(0, time),
      clock: time,
      timers: time.timers(),
      logger: silentLogger,
      metrics: noMetrics,
      random: () => random.uniform(),
      maxRequestBodyBytes: Number.MAX_SAFE_INTEGER,
      emitScores: false,
      ignoreSubsetHint: false,
      recordedSignals: [],
    });
    return {
      name: configFile,
      router: { ...router, newRequestId: () => `request-${requests++}` },
      datastore,
      sources: graph.sources,
      dispose: () => graph.dispose(),
    };
  };
}
