import { errorText } from "@pointsman/core";
import type { Place } from "./config-node.ts";
import type { ProblemList } from "./config-problem.ts";
import { isCreated, type LoadedPlugin, takesRole } from "./loaded-plugin.ts";
import type { PluginLoader } from "./plugin-loader.ts";
import { printable, quote } from "./quote.ts";
import type { StatedConfig, StatedProfile } from "./stated-config.ts";

/** A plugin in a profile. */
export interface WiredEntry {
  readonly plugin: LoadedPlugin;
  /** For scorers. */
  readonly weight: number;
}

export interface WiredProfile {
  readonly name: string;
  readonly entries: readonly WiredEntry[];
}

export interface WiredProfiles {
  readonly profiles: readonly WiredProfile[];
  /** `undefined` only where a problem was reported or a plugin could not be identified. */
  readonly handler: LoadedPlugin | undefined;
}

const defaultProfileName = "default";
const defaultPicker = "max-score-picker";
const defaultHandler = "single-profile-handler";

/** Connects profiles with their plugins; adds the default profile, picker and profile handler where none is given. */
export async function wireProfiles(
  stated: StatedConfig,
  root: Place,
  loader: PluginLoader,
  problems: ProblemList,
): Promise<WiredProfiles> {
  const drafts =
    stated.profiles === undefined
      ? [draftDefault(root, loader, problems)]
      : stated.profiles.map((profile) => draftStated(profile, loader, problems));
  const handler = await wireHandler(drafts, loader, problems);
  const profiles: WiredProfile[] = [];
  for (const draft of drafts) profiles.push(await withPicker(draft, loader, problems));
  checkWithHandler(profiles, handler, problems);
  return { profiles, handler };
}

interface Draft extends WiredProfile {
  /** Also true when one of its plugins is not known well enough to say. */
  readonly hasPicker: boolean;
  readonly at: Place;
}

/** Without stated profiles, all declared plugins that can act in one form the profile `default`. */
function draftDefault(root: Place, loader: PluginLoader, problems: ProblemList): Draft {
  const entries: WiredEntry[] = [];
  let hasPicker = false;
  for (const plugin of loader.plugins) {
    const isPicker = takesRole(plugin, "picker") === true;
    if (!isPicker && takesRole(plugin, "filter") !== true && takesRole(plugin, "scorer") !== true) continue;
    if (isPicker && hasPicker) {
      problems.add(
        "EPP_CONFIG_TWO_PICKERS",
        plugin.at,
        `${plugin.label} is a second picker in the profile ${quote(defaultProfileName)}, which all declared plugins form.`,
        "Remove one, or state schedulingProfiles.",
      );
    }
    hasPicker ||= isPicker;
    entries.push({ plugin, weight: 1 });
  }
  return { name: defaultProfileName, entries, hasPicker, at: root };
}

function draftStated(profile: StatedProfile, loader: PluginLoader, problems: ProblemList): Draft {
  const entries: WiredEntry[] = [];
  const listed = new Set<LoadedPlugin>();
  const inProfile = `profile ${quote(profile.name?.value ?? "")}`;
  let hasPicker = false;
  let unclear = false;
  for (const { ref, weight } of profile.plugins) {
    const plugin = loader.refer(ref, `The ${inProfile}`);
    if (plugin === undefined) {
      unclear = true;
      continue;
    }
    const isScorer = takesRole(plugin, "scorer");
    const isPicker = takesRole(plugin, "picker");
    const isFilter = takesRole(plugin, "filter");
    if (isScorer === false && isPicker === false && isFilter === false) {
      problems.add(
        "EPP_CONFIG_REF_IGNORED",
        ref.at,
        `The ${inProfile} lists ${quote(plugin.name)}, which is no filter, scorer or picker${kindText(plugin)}: the entry has no effect.`,
        "Remove it here. Other plugins act without being listed in a profile.",
      );
      continue;
    }
    if (isScorer === false && weight !== undefined) {
      problems.add(
        "EPP_CONFIG_WEIGHT_IGNORED",
        weight.at,
        `In the ${inProfile}, ${quote(plugin.name)} is no scorer: its weight has no effect.`,
        "Remove the weight.",
      );
    }
    if (isPicker === true && hasPicker) {
      problems.add(
        "EPP_CONFIG_TWO_PICKERS",
        ref.at,
        `The ${inProfile} has a second picker ${quote(plugin.name)}.`,
        "Remove one of them.",
      );
    } else if (listed.has(plugin)) {
      problems.add(
        "EPP_CONFIG_REPEATED_REF",
        ref.at,
        `The ${inProfile} lists ${quote(plugin.name)} twice, so it runs twice.`,
        isScorer === true ? "Remove one entry, or raise the weight." : "Remove one entry.",
      );
    }
    hasPicker ||= isPicker === true;
    unclear ||= isPicker === undefined;
    listed.add(plugin);
    entries.push({ plugin, weight: weight?.value ?? 1 });
  }
  return { name: profile.name?.value ?? "", entries, hasPicker: hasPicker || unclear, at: profile.at };
}

/** Gives a profile without a picker the first one declared, or the default one. */
async function withPicker(draft: Draft, loader: PluginLoader, problems: ProblemList): Promise<WiredProfile> {
  const { name, entries, hasPicker, at } = draft;
  if (hasPicker || loader.unresolved) return { name, entries };
  const pickers = loader.plugins.filter((plugin) => takesRole(plugin, "picker") === true);
  let picker = pickers[0];
  if (pickers.length > 1 && picker !== undefined) {
    problems.add(
      "EPP_CONFIG_PICKER_CHOSEN",
      at,
      `The profile ${quote(name)} names no picker, and several are declared: it gets the first one, ${quote(picker.name)}.`,
      "Name the picker in the profile.",
    );
  }
  picker ??= await loader.add(defaultPicker, {
    reason: `the profile ${quote(name)} has no picker`,
    instead: "Or declare another picker.",
    at,
  });
  return { name, entries: picker === undefined ? entries : [...entries, { plugin: picker, weight: 1 }] };
}

async function wireHandler(
  profiles: readonly Draft[],
  loader: PluginLoader,
  problems: ProblemList,
): Promise<LoadedPlugin | undefined> {
  const [handler, ...others] = loader.plugins.filter((plugin) => takesRole(plugin, "profileHandler") === true);
  for (const other of others) {
    problems.add(
      "EPP_CONFIG_TWO_PROFILE_HANDLERS",
      other.at,
      `${other.label} is a profile handler, and so is ${handler?.label}.`,
      "Remove one of them.",
    );
  }
  const [only, another] = profiles;
  if (handler !== undefined || loader.unresolved || only === undefined) return handler;
  if (another === undefined) {
    const instead = "Or declare a profile handler.";
    return loader.add(defaultHandler, { reason: "no profile handler is declared", instead, at: only.at });
  }
  problems.add(
    "EPP_CONFIG_NO_PROFILE_HANDLER",
    another.at,
    `There are ${profiles.length} profiles, and no plugin decides which of them run.`,
    "Declare a profile handler in plugins.",
  );
  return undefined;
}

function checkWithHandler(
  profiles: readonly WiredProfile[],
  handler: LoadedPlugin | undefined,
  problems: ProblemList,
): void {
  if (handler === undefined || !isCreated(handler) || profiles.some(({ name }) => name === "")) return;
  let complaint: string | undefined;
  try {
    complaint = handler.instance.checkProfiles?.(profiles.map(({ name }) => name));
  } catch (thrown) {
    complaint = errorText(thrown);
  }
  if (complaint === undefined) return;
  problems.add(
    "EPP_CONFIG_PROFILES_REFUSED",
    handler.at,
    `${handler.label} refuses the profiles: ${printable(complaint)}`,
  );
}

function kindText(plugin: LoadedPlugin): string {
  return plugin.definition === undefined ? "" : ` but a ${plugin.definition.kind}`;
}
