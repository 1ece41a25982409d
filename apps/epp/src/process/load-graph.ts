import { dirname, resolve } from "node:path";
import { type ConfigInput, type LoadOutcome, loadConfig, type PluginGraph } from "@pointsman/config";
import {
  type Clock,
  createTimers,
  errorText,
  type Logger,
  type MetricsRegistry,
  systemClock,
  type Timers,
} from "@pointsman/core";
import type { Datastore } from "@pointsman/datastore";
import { PluginRegistry } from "../registry/plugin-registry.ts";
import { readConfigFile } from "./read-config-file.ts";

export interface ConfigSource {
  readonly configFile: string;
  readonly configText: string;
  /** Endpoints for the built-in configuration. */
  readonly endpointsFile: string;
  /** What `configFile` says, where somebody has read it. */
  readonly configFileText?: string;
}

/** A configuration that could not be read at all. */
export interface Unreadable {
  readonly unreadable: string;
}

/** What loading came to, and the text it was loaded from. */
export interface LoadedConfig extends LoadOutcome {
  readonly text: string;
}

/** The built-in configuration with endpoints from a file. */
function builtinWithEndpoints(endpointsFile: string): string {
  return `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: queue-scorer
  - type: kv-cache-utilization-scorer
  - type: prefix-cache-scorer
  - type: file-discovery
    parameters:
      path: ${JSON.stringify(endpointsFile)}
      watchFile: true
schedulingProfiles:
  - name: default
    plugins:
      - pluginRef: queue-scorer
        weight: 2
      - pluginRef: kv-cache-utilization-scorer
        weight: 2
      - pluginRef: prefix-cache-scorer
        weight: 3
dataLayer:
  discovery:
    pluginRef: file-discovery
`;
}

async function readInput(source: ConfigSource): Promise<ConfigInput | Unreadable | undefined> {
  if (source.configFile !== "") {
    try {
      const text = source.configFileText ?? (await readConfigFile(source.configFile));
      return { text, file: source.configFile, baseDirectory: dirname(resolve(source.configFile)) };
    } catch (thrown: unknown) {
      return { unreadable: `--config-file: cannot read ${source.configFile}: ${errorText(thrown)}` };
    }
  }
  if (source.configText !== "") return { text: source.configText, file: "--config-text", baseDirectory: process.cwd() };
  if (source.endpointsFile !== "") {
    return {
      text: builtinWithEndpoints(source.endpointsFile),
      file: "built-in configuration",
      baseDirectory: process.cwd(),
    };
  }
  return undefined;
}

/** Loads a configuration and makes its plugins, exactly as a start does. */
export async function loadGraph(
  source: ConfigSource,
  process: {
    readonly allowExperimental: boolean;
    readonly stalenessMs: number;
    readonly logger: Logger;
    readonly metrics: MetricsRegistry;
    readonly datastore: Datastore;
    /** The graph at work that the new one is to replace. */
    readonly replaces?: PluginGraph;
    /** Another time and other random numbers than the process's own. */
    readonly virtual?: { readonly clock: Clock; timersFor(name: string): Timers; random(): number };
  },
): Promise<LoadedConfig | Unreadable> {
  const input = await readInput(source);
  if (input !== undefined && "unreadable" in input) return input;
  const { logger, metrics, datastore, virtual } = process;
  const outcome = await loadConfig(input, {
    resolver: new PluginRegistry(input?.baseDirectory ?? globalThis.process.cwd()),
    allowExperimental: process.allowExperimental,
    ...(process.replaces === undefined ? {} : { replaces: process.replaces }),
    environment: {
      logger,
      metrics,
      clock: virtual?.clock ?? systemClock,
      stalenessMs: process.stalenessMs,
      random: virtual === undefined ? Math.random : () => virtual.random(),
      endpoints: () => datastore.snapshot(),
      timersFor: (name: string) => virtual?.timersFor(name) ?? createTimers(name, logger),
    },
  });
  return { ...outcome, text: input?.text ?? "" };
}
