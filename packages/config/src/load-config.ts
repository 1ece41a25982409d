import { builtinConfig, builtinConfigFile } from "./builtin-config.ts";
import type { Place } from "./config-node.ts";
import { type ConfigProblem, ProblemList } from "./config-problem.ts";
import { type EffectiveConfig, effectiveConfig } from "./effective-config.ts";
import { isCreated, type LoadedPlugin } from "./loaded-plugin.ts";
import { buildGraph, type PluginGraph } from "./plugin-graph.ts";
import { type PluginEnvironment, PluginLoader } from "./plugin-loader.ts";
import type { PluginResolver } from "./plugin-resolver.ts";
import { checkDataInTime, producerLevels } from "./producer-order.ts";
import { provideData } from "./provide-data.ts";
import { readConfig } from "./read-config.ts";
import { readDocument } from "./read-document.ts";
import type { StatedConfig } from "./stated-config.ts";
import { wireDiscovery, wireSources } from "./wire-data-layer.ts";
import { wireProfiles } from "./wire-profiles.ts";
import { wireParsers, wireSaturationDetector } from "./wire-requests.ts";
import { activePlugins } from "./wiring.ts";

/** A configuration as the caller read it. */
export interface ConfigInput {
  readonly text: string;
  /** How problems name the file. */
  readonly file: string;
  /** Folder that relative paths in parameters start from. */
  readonly baseDirectory: string;
}

export interface LoadOptions {
  readonly resolver: PluginResolver;
  /** Accept plugins of stability alpha. */
  readonly allowExperimental: boolean;
  readonly environment: PluginEnvironment;
  /**
   * The graph at work that the new one is to replace. Plugins of the same name, type and parameters are taken over with
   * what they have learned; both graphs have to be disposed.
   */
  readonly replaces?: PluginGraph;
}

/** What loading a configuration came to. */
export interface LoadOutcome {
  /** All errors and warnings, in file order. */
  readonly problems: readonly ConfigProblem[];
  /** `undefined` when there are errors. */
  readonly effective: EffectiveConfig | undefined;
  /** `undefined` when there are errors; otherwise the caller disposes it. */
  readonly graph: PluginGraph | undefined;
}

/**
 * Reads a configuration, checks it and creates its plugins. Without input, or with an empty text, the built-in
 * configuration applies.
 *
 * Reports everything that is wrong in one run. With errors, every plugin that was created has been disposed. Never
 * rejects because of the input or a plugin.
 */
export async function loadConfig(input: ConfigInput | undefined, options: LoadOptions): Promise<LoadOutcome> {
  const given = input !== undefined && input.text !== "";
  const text = given ? input.text : builtinConfig;
  const problems = new ProblemList(given ? input.file : builtinConfigFile, text);
  const root = readDocument(text, problems);
  const stated = root === undefined ? undefined : readConfig(root, problems);
  if (root === undefined || stated === undefined) {
    return { problems: problems.inFileOrder(), effective: undefined, graph: undefined };
  }
  const loader = new PluginLoader({
    ...options,
    baseDirectory: input?.baseDirectory ?? ".",
    atWork: options.replaces?.atWork ?? new Map(),
    problems,
    flowControlRefused: stated.featureGates.get("flowControl") === true,
    incomplete: stated.incomplete,
  });
  let outcome: LoadOutcome | undefined;
  try {
    outcome = await connect(stated, root.at, loader, problems);
    return outcome;
  } finally {
    if (outcome?.graph === undefined) await loader.dispose();
  }
}

async function connect(
  stated: StatedConfig,
  root: Place,
  loader: PluginLoader,
  problems: ProblemList,
): Promise<LoadOutcome> {
  await loader.loadDeclared(stated.plugins);
  const { profiles, handler } = await wireProfiles(stated, root, loader, problems);
  const { parsers, unreached } = await wireParsers(stated, root, loader, problems);
  const saturationDetector = await wireSaturationDetector(stated, root, loader, problems);
  const sources = wireSources(stated, loader, problems);
  const discovery = wireDiscovery(stated.discovery, loader, problems);
  const wiring = await provideData(
    { profiles, handler, parsers, sources, discovery, saturationDetector },
    stated.injectDefaults,
    loader,
    problems,
  );
  const active = activePlugins(wiring, loader);
  const producers = producerLevels(active, problems);
  checkDataInTime(active, problems);
  if (problems.hasErrors) return { problems: problems.inFileOrder(), effective: undefined, graph: undefined };
  warnUnused([...active, ...unreached], loader, problems);
  return {
    problems: problems.inFileOrder(),
    effective: effectiveConfig(stated, wiring, loader),
    graph: buildGraph(wiring, active, producers, stated.featureGates, loader),
  };
}

/** Warns of plugins that do nothing. Only with everything else in order is it certain that nothing was meant to use them. */
function warnUnused(used: readonly LoadedPlugin[], loader: PluginLoader, problems: ProblemList): void {
  const inUse = new Set(used);
  for (const plugin of loader.plugins) {
    if (inUse.has(plugin) || !isCreated(plugin)) continue;
    problems.add(
      "EPP_CONFIG_UNUSED_PLUGIN",
      plugin.at,
      `${plugin.label} does nothing: no profile and no other part of the configuration refers to it.`,
      "Refer to it, or remove it.",
    );
  }
}
