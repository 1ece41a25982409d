import type { Place } from "./config-node.ts";
import type { ProblemList } from "./config-problem.ts";
import { type LoadedPlugin, takesRole } from "./loaded-plugin.ts";
import type { PluginLoader } from "./plugin-loader.ts";
import { quote } from "./quote.ts";
import type { Stated, StatedConfig } from "./stated-config.ts";

/** Parsers that are used when the configuration names none, in this order. */
const defaultParsers = ["openai-parser", "anthropic-parser", "vllmhttp-parser", "passthrough-parser"];
const defaultDetector = "utilization-detector";

export interface WiredParsers {
  readonly parsers: readonly LoadedPlugin[];
  /** Named, but never given a request. */
  readonly unreached: readonly LoadedPlugin[];
}

/** Connects the parsers; a reference may be a type. Without any, the default ones that are installed. */
export async function wireParsers(
  stated: StatedConfig,
  root: Place,
  loader: PluginLoader,
  problems: ProblemList,
): Promise<WiredParsers> {
  const parsers: LoadedPlugin[] = [];
  if (stated.parsers.length === 0) {
    for (const type of defaultParsers) {
      const addition = { reason: "no parser is named", instead: "Or name parsers in requestHandler.", at: root };
      const plugin = loader.findByType(type) ?? (await loader.addIfInstalled(type, "requestHandler.parsers", addition));
      if (plugin !== undefined) parsers.push(plugin);
    }
    return { parsers, unreached: [] };
  }
  const from = "requestHandler.parsers";
  const unreached: LoadedPlugin[] = [];
  let fallback: LoadedPlugin | undefined;
  const leaveOut = (ref: Stated<string>, plugin: LoadedPlugin | undefined, reason: string): void => {
    problems.add(
      "EPP_CONFIG_UNREACHED_PARSER",
      ref.at,
      `The parser ${quote(ref.value)} is left out: ${reason}.`,
      "Move it up, or remove it.",
    );
    if (plugin !== undefined) unreached.push(plugin);
  };
  for (const ref of stated.parsers) {
    const declared = loader.find(ref.value) ?? loader.findByType(ref.value);
    const definition = declared?.definition ?? (await loader.definitionOf(ref.value));
    if (declared === undefined && definition === undefined) {
      loader.refer(ref, from);
      continue;
    }
    if (declared !== undefined && takesRole(declared, "parser") === false) {
      wrongRole(ref, from, "parser", declared, problems);
      continue;
    }
    if (fallback !== undefined) {
      leaveOut(ref, declared, `${quote(fallback.name)} before it takes what no parser claims`);
      continue;
    }
    const sameType = definition && parsers.find((parser) => parser.definition?.type === definition.type);
    if (sameType !== undefined) {
      const again =
        sameType === declared ? "it stands further up" : `${quote(sameType.name)} before it is of the same type`;
      leaveOut(ref, sameType === declared ? undefined : declared, again);
      continue;
    }
    const plugin = declared ?? (await loader.add(ref.value, { reason: `named in ${from}`, instead: "", at: ref.at }));
    if (plugin === undefined) continue;
    if (takesRole(plugin, "parser") === false) {
      wrongRole(ref, from, "parser", plugin, problems);
      continue;
    }
    parsers.push(plugin);
    if (plugin.instance?.claims?.length === 0) fallback = plugin;
  }
  return { parsers, unreached };
}

/** The saturation detector: the one that is named, else a declared or added one of the default type. */
export async function wireSaturationDetector(
  stated: StatedConfig,
  root: Place,
  loader: PluginLoader,
  problems: ProblemList,
): Promise<LoadedPlugin | undefined> {
  const ref = stated.saturationDetector;
  const field = "flowControl.saturationDetector";
  const named = ref === undefined ? undefined : loader.find(ref.value);
  if (ref !== undefined && (named !== undefined || ref.value !== defaultDetector)) {
    const plugin = loader.refer(ref, field);
    if (plugin === undefined || takesRole(plugin, "saturationDetector") !== false) return plugin;
    wrongRole(ref, field, "saturation detector", plugin, problems);
    return undefined;
  }
  const declared = loader.findByType(defaultDetector);
  if (declared !== undefined) return declared;
  const reason = "no saturation detector is named";
  const addition = { reason, instead: "", at: ref?.at ?? root };
  // Asked for by name, it has to be there.
  return ref === undefined
    ? loader.addIfInstalled(defaultDetector, field, addition)
    : loader.add(defaultDetector, addition);
}

/** Reports a reference to a plugin that cannot do what the place asks for. */
export function wrongRole(
  ref: Stated<string>,
  from: string,
  wanted: string,
  plugin: LoadedPlugin,
  problems: ProblemList,
): void {
  const kind = plugin.definition === undefined ? "" : ` but a ${plugin.definition.kind}`;
  problems.add(
    "EPP_CONFIG_WRONG_ROLE",
    ref.at,
    `${from} refers to ${quote(plugin.name)}, which is no ${wanted}${kind}.`,
    `Refer to a ${wanted}.`,
  );
}
