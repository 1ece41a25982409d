import {
  type AnyPluginDefinition,
  type AttributeKey,
  type DataProducer,
  type EndpointDiscovery,
  EppBug,
  type Filter,
  internAttribute,
  type NamedPlugin,
  type Parser,
  type Picker,
  type PollingExtractor,
  type PollingSource,
  type ProfileHandler,
  type Role,
  type Roles,
  type SaturationDetector,
  type Scorer,
} from "@pointsman/core";
import { type CreatedPlugin, isCreated, type LoadedPlugin, namedPlugin, pluginInRole } from "./loaded-plugin.ts";
import type { OwnedPlugin } from "./owned-plugin.ts";
import type { PluginLoader } from "./plugin-loader.ts";
import type { WiredProfile } from "./wire-profiles.ts";
import type { Wiring } from "./wiring.ts";

/** One scheduling profile, ready to run: filters and scorers in the order of the file. */
export interface GraphProfile {
  readonly name: string;
  readonly filters: readonly NamedPlugin<Filter>[];
  readonly scorers: readonly { readonly plugin: NamedPlugin<Scorer>; readonly weight: number }[];
  readonly picker: NamedPlugin<Picker>;
}

/** A polled source with those who read its pages. */
export interface GraphSource {
  readonly source: NamedPlugin<PollingSource>;
  readonly extractors: readonly NamedPlugin<PollingExtractor>[];
}

/** All plugins of a configuration, created and connected. */
export interface PluginGraph {
  /** Every plugin: in the order of the file, then those added by default. Hooks run in this order. */
  readonly plugins: readonly NamedPlugin[];
  /** Definitions by plugin name. */
  readonly definitions: ReadonlyMap<string, AnyPluginDefinition>;
  readonly profiles: readonly GraphProfile[];
  readonly profileHandler: NamedPlugin<ProfileHandler>;
  readonly parsers: readonly NamedPlugin<Parser>[];
  /** Producers in levels: those of one level may run side by side, after all earlier levels. */
  readonly producers: readonly (readonly NamedPlugin<DataProducer>[])[];
  readonly sources: readonly GraphSource[];
  /** `undefined`: endpoints come from Kubernetes. */
  readonly discovery: NamedPlugin<EndpointDiscovery> | undefined;
  readonly saturationDetector: NamedPlugin<SaturationDetector> | undefined;
  readonly featureGates: ReadonlyMap<string, boolean>;
  /** Attributes that plugins at work read, each once, in plugin order. */
  readonly consumed: readonly AttributeKey<unknown>[];
  /** The instances by name, for a later load to take over those that did not change. */
  readonly atWork: ReadonlyMap<string, OwnedPlugin>;
  /**
   * Disposes all plugins, the last created first, and stops their timers; those that another graph took over stay at work.
   * Calling it again does nothing. Never rejects.
   */
  dispose(): Promise<void>;
}

/** Turns a wiring without errors into the graph. */
export function buildGraph(
  wiring: Wiring,
  active: readonly LoadedPlugin[],
  producers: readonly (readonly CreatedPlugin[])[],
  featureGates: ReadonlyMap<string, boolean>,
  loader: PluginLoader,
): PluginGraph {
  const created = loader.plugins.filter(isCreated);
  const { handler, discovery, saturationDetector } = wiring;
  const read = active.flatMap(({ consumes: { required = [], optional = [] } }) => [...required, ...optional]);
  return {
    plugins: created.map(namedPlugin),
    definitions: new Map(created.map(({ name, definition }) => [name, definition])),
    profiles: wiring.profiles.map(buildProfile),
    profileHandler: inRole(handler, "profileHandler"),
    parsers: wiring.parsers.map((plugin) => inRole(plugin, "parser")),
    producers: producers.map((level) => level.map((plugin) => inRole(plugin, "dataProducer"))),
    sources: wiring.sources.flatMap(({ source, extractors }) => {
      const polling = isCreated(source) ? pluginInRole(source, "pollingSource") : undefined;
      // Sources that report endpoints as they come and go need no wiring: listeners are told anyway.
      if (polling === undefined) return [];
      return [{ source: polling, extractors: extractors.map((plugin) => inRole(plugin, "pollingExtractor")) }];
    }),
    discovery: discovery === undefined ? undefined : inRole(discovery, "discovery"),
    saturationDetector: saturationDetector === undefined ? undefined : inRole(saturationDetector, "saturationDetector"),
    featureGates,
    consumed: [...new Set(read.map((key) => internAttribute(key)))],
    atWork: loader.created,
    dispose: () => loader.dispose(),
  };
}

function buildProfile({ name, entries }: WiredProfile): GraphProfile {
  const filters: NamedPlugin<Filter>[] = [];
  const scorers: GraphProfile["scorers"][number][] = [];
  let picker: NamedPlugin<Picker> | undefined;
  for (const { plugin, weight } of entries) {
    if (!isCreated(plugin)) throw new EppBug(`${plugin.label} is in a graph without being created`);
    const filter = pluginInRole(plugin, "filter");
    if (filter !== undefined) filters.push(filter);
    const scorer = pluginInRole(plugin, "scorer");
    if (scorer !== undefined) scorers.push({ plugin: scorer, weight });
    picker ??= pluginInRole(plugin, "picker");
  }
  if (picker === undefined) throw new EppBug(`profile "${name}" is in a graph without a picker`);
  return { name, filters, scorers, picker };
}

/** The plugin in a role that the checks have found it to take. */
function inRole<R extends Role>(plugin: LoadedPlugin | undefined, role: R): NamedPlugin<Roles[R]> {
  const named = plugin !== undefined && isCreated(plugin) ? pluginInRole(plugin, role) : undefined;
  if (named === undefined) throw new EppBug(`a graph needs a ${role} that was not checked to exist`);
  return named;
}
