import { hasHook, isCreated, type LoadedPlugin } from "./loaded-plugin.ts";
import type { PluginLoader } from "./plugin-loader.ts";
import type { WiredSource } from "./wire-data-layer.ts";
import type { WiredProfile } from "./wire-profiles.ts";

/** Which plugin stands where. */
export interface Wiring {
  readonly profiles: readonly WiredProfile[];
  readonly handler: LoadedPlugin | undefined;
  readonly parsers: readonly LoadedPlugin[];
  readonly sources: readonly WiredSource[];
  readonly discovery: LoadedPlugin | undefined;
  readonly saturationDetector: LoadedPlugin | undefined;
}

/**
 * The plugins that act: those that stand somewhere, those that act wherever they are declared, and those that one of
 * them refers to. In list order.
 */
export function activePlugins(wiring: Wiring, loader: PluginLoader): readonly LoadedPlugin[] {
  const active = new Set<LoadedPlugin>();
  const add = (plugin: LoadedPlugin | undefined): void => {
    if (plugin === undefined || active.has(plugin)) return;
    active.add(plugin);
    for (const { value } of plugin.references) add(loader.find(value));
  };
  for (const { entries } of wiring.profiles) for (const { plugin } of entries) add(plugin);
  for (const { source, extractors } of wiring.sources) for (const plugin of [source, ...extractors]) add(plugin);
  for (const plugin of wiring.parsers) add(plugin);
  for (const plugin of [wiring.handler, wiring.discovery, wiring.saturationDetector]) add(plugin);
  for (const plugin of loader.plugins) if (isCreated(plugin) && hasHook(plugin)) add(plugin);
  return loader.plugins.filter((plugin) => active.has(plugin));
}
