import { type ConfigProblem, formatProblem, type PluginGraph } from "@pointsman/config";
import { DecisionLog, hasRole, type Logger, noMetrics, silentLogger } from "@pointsman/core";
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

/** A part of the process that pickers of a replay have of their own. */
type Virtual = NonNullable<Parameters<typeof loadGraph>[1]["virtual"]>;

/** Streams of random numbers from here on belong to pickers, one to each replica. */
const firstPickerStream = 100;

/** Types of plugins that take no part in a replay: they write down real requests, which a replay has none of. */
const recorders: ReadonlySet<string> = new Set(["decision-log-recorder"]);

/** Throws a {@link ReplayConfigError} if a configuration cannot be replayed. */
export async function checkReplayConfig(options: Omit<ReplayPickerOptions, "seed">): Promise<void> {
  const { graph } = await load(options, silentLogger, undefined);
  await graph.dispose();
}

/**
 * Makes the picker of a configuration for virtual time, with the plugins, the wiring and the request control of a real
 * start. Discovery is not started: the replay has its own servers.
 */
export function replayPicker(options: ReplayPickerOptions): PickerFactory {
  return async (time, replica, logger) => {
    const generator = new SeededRandom(options.seed, firstPickerStream + replica);
    const random = (): number => generator.uniform();
    const { graph, datastore } = await load(options, logger, {
      clock: time,
      timersFor: (name) => time.timers(name, logger),
      random,
    });
    const plugins = graph.plugins.filter(({ type }) => !recorders.has(type));
    for (const { instance } of plugins) {
      if (hasRole(instance, "endpointListener")) datastore.subscribe(instance);
    }
    let requests = 0;
    const router = createRouter(
      { ...graph, plugins },
      {
        endpoints: () => datastore.snapshot(),
        decisions: new DecisionLog(0, time),
        clock: time,
        timers: time.timers("picker", logger),
        logger,
        metrics: noMetrics,
        random,
        maxRequestBodyBytes: Number.MAX_SAFE_INTEGER,
        emitScores: false,
        ignoreSubsetHint: false,
        recordedSignals: [],
      },
    );
    return {
      name: options.configFile,
      router: { ...router, newRequestId: () => `request-${requests++}` },
      datastore,
      sources: graph.sources,
      dispose: () => graph.dispose(),
    };
  };
}

async function load(
  { configFile, allowExperimental, stalenessMs }: Omit<ReplayPickerOptions, "seed">,
  logger: Logger,
  virtual: Virtual | undefined,
): Promise<{ readonly graph: PluginGraph; readonly datastore: Datastore }> {
  const datastore = new Datastore({
    pool: { name: "replay", namespace: "replay", appProtocol: undefined },
    synced: true,
    logger,
  });
  const loaded = await loadGraph(
    { configFile, configText: "", endpointsFile: "" },
    {
      ...{ allowExperimental, stalenessMs, logger, metrics: noMetrics, datastore },
      ...(virtual === undefined ? {} : { virtual }),
    },
  );
  if ("unreadable" in loaded) throw new ReplayConfigError(loaded.unreadable.replace(/^--config-file/, "epp replay"));
  const { graph, problems } = loaded;
  const errors = problems.filter((problem: ConfigProblem) => problem.severity === "error");
  if (graph !== undefined && errors.length === 0) return { graph, datastore };
  await graph?.dispose();
  throw new ReplayConfigError(errors.map(formatProblem).join("\n"));
}
