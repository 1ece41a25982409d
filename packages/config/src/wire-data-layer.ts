import type { ProblemList } from "./config-problem.ts";
import { type LoadedPlugin, takesRole } from "./loaded-plugin.ts";
import type { PluginLoader } from "./plugin-loader.ts";
import { quote } from "./quote.ts";
import type { Stated, StatedConfig, StatedSource } from "./stated-config.ts";
import { wrongRole } from "./wire-requests.ts";

/** A source of data about endpoints with those who read it. */
export interface WiredSource {
  readonly source: LoadedPlugin;
  readonly extractors: readonly LoadedPlugin[];
}

/** Connects the stated sources with their extractors. */
export function wireSources(stated: StatedConfig, loader: PluginLoader, problems: ProblemList): readonly WiredSource[] {
  const seen = new Set<LoadedPlugin>();
  const wired: WiredSource[] = [];
  for (const [index, entry] of stated.sources.entries()) {
    const { ref } = entry;
    const from = `dataLayer.sources[${index}]`;
    const source = loader.refer(ref, from);
    if (source === undefined) continue;
    if (!isSource(source)) {
      wrongRole(ref, from, "data source", source, problems);
      continue;
    }
    if (seen.has(source)) {
      problems.add(
        "EPP_CONFIG_DUPLICATE_SOURCE",
        ref.at,
        `${from} refers to ${quote(source.name)}, which has an entry further up.`,
        "Put all extractors into one entry.",
      );
      continue;
    }
    seen.add(source);
    const extractors = wireExtractors(entry, source, from, loader, problems);
    // A source that reports endpoints as they come and go serves every plugin that listens, listed or not.
    if (entry.extractors.length === 0 && source.instance?.pollTarget !== undefined) {
      problems.add(
        "EPP_CONFIG_SOURCE_UNREAD",
        ref.at,
        `${from} lists no extractors: nobody reads what ${quote(source.name)} fetches.`,
        "List extractors, or remove the entry.",
      );
    }
    wired.push({ source, extractors });
  }
  return wired;
}

/** Connects endpoint discovery. */
export function wireDiscovery(
  ref: Stated<string> | undefined,
  loader: PluginLoader,
  problems: ProblemList,
): LoadedPlugin | undefined {
  if (ref === undefined) return undefined;
  const plugin = loader.refer(ref, "dataLayer.discovery");
  if (plugin === undefined || takesRole(plugin, "discovery") !== false) return plugin;
  wrongRole(ref, "dataLayer.discovery", "discovery plugin", plugin, problems);
  return undefined;
}

function wireExtractors(
  entry: StatedSource,
  source: LoadedPlugin,
  from: string,
  loader: PluginLoader,
  problems: ProblemList,
): readonly LoadedPlugin[] {
  const polls = source.instance === undefined ? undefined : takesRole(source, "pollingSource");
  const types = new Map<string, LoadedPlugin>();
  const wired: LoadedPlugin[] = [];
  for (const ref of entry.extractors) {
    const extractor = loader.refer(ref, from);
    if (extractor === undefined) continue;
    const fits = polls === undefined ? undefined : fitsSource(extractor, polls);
    if (fits === false) {
      const wanted =
        polls === true ? "extractor of polled pages" : "plugin that follows endpoints or Kubernetes objects";
      wrongRole(ref, from, wanted, extractor, problems);
      continue;
    }
    const type = extractor.definition?.type ?? extractor.type;
    const sameType = types.get(type);
    if (sameType !== undefined) {
      problems.add(
        "EPP_CONFIG_DUPLICATE_EXTRACTOR",
        ref.at,
        `${from} lists ${quote(extractor.name)}, and ${sameType === extractor ? "lists it further up" : `${quote(sameType.name)} is of the same type`}.`,
        "Remove one of them.",
      );
      continue;
    }
    types.set(type, extractor);
    const [offered, read] = [source.instance?.payload, extractor.instance?.payload];
    if (polls === true && offered !== undefined && read !== undefined && offered !== read) {
      problems.add(
        "EPP_CONFIG_PAYLOAD_MISMATCH",
        ref.at,
        `${quote(extractor.name)} reads ${quote(read)}, and ${quote(source.name)} delivers ${quote(offered)}.`,
        "Put the extractor under a source of its kind.",
      );
      continue;
    }
    wired.push(extractor);
  }
  return wired;
}

/** Whether a plugin can be listed under a source that polls, or under one that reports what comes and goes. */
function fitsSource(extractor: LoadedPlugin, polls: boolean): boolean | undefined {
  if (polls) return takesRole(extractor, "pollingExtractor");
  const roles = [takesRole(extractor, "endpointListener"), takesRole(extractor, "kubernetesListener")];
  if (roles.includes(true)) return true;
  return roles.includes(undefined) ? undefined : false;
}

/** A plugin of kind `source` that polls nothing reports endpoints as they come and go. */
function isSource(plugin: LoadedPlugin): boolean {
  return takesRole(plugin, "pollingSource") !== false || plugin.definition?.kind === "source";
}
