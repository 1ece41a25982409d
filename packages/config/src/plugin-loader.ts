import {
  type AnyPluginDefinition,
  type AttributeKey,
  createHost,
  errorText,
  type HostEnvironment,
  type PluginInstance,
  type Timers,
} from "@pointsman/core";
import { checkParameters, parameterPlace } from "./check-parameters.ts";
import type { ConfigNode, Place } from "./config-node.ts";
import { ProblemList } from "./config-problem.ts";
import { type LoadedPlugin, missingMethod, pluginKinds } from "./loaded-plugin.ts";
import { OwnedPlugin } from "./owned-plugin.ts";
import { OwnedTimers } from "./owned-timers.ts";
import { isResolveFailure, type PluginResolver, type ResolveFailure } from "./plugin-resolver.ts";
import { listNames, printable, quote } from "./quote.ts";
import { orderByReferences } from "./reference-order.ts";
import { sameValue } from "./same-value.ts";
import type { Stated, StatedPlugin } from "./stated-config.ts";
import { flowControlTypes } from "./unavailable-types.ts";

/** What plugins get from the process. */
export interface PluginEnvironment extends Omit<HostEnvironment, "plugin" | "timers" | "baseDirectory"> {
  /** Timers for the plugin of this name. Those still running are stopped when the plugin is disposed. */
  timersFor(name: string): Timers;
}

export interface PluginLoaderOptions {
  readonly resolver: PluginResolver;
  readonly allowExperimental: boolean;
  readonly environment: PluginEnvironment;
  readonly baseDirectory: string;
  readonly problems: ProblemList;
  /** The file asks for flow control, which is reported where it does: its plugins are not problems of their own. */
  readonly flowControlRefused: boolean;
  /** Names of plugins may be missing from what could be read. */
  readonly incomplete: boolean;
  /** Plugins at work, by name: one that would be made just the same is taken over with what it has learned. */
  readonly atWork: ReadonlyMap<string, OwnedPlugin>;
}

/** Why a plugin is added that the file does not declare. */
export interface Addition {
  /** In words, for messages: `no picker is declared`. */
  readonly reason: string;
  /** What to do instead of installing it; empty where there is nothing. */
  readonly instead: string;
  readonly at: Place;
}

type Identity = Pick<LoadedPlugin, "name" | "type" | "label" | "at" | "declared">;

/** Resolves, checks and creates plugins, and disposes them again. Problems are collected; nothing here throws. */
export class PluginLoader {
  /** In the order of the file; added ones after them. */
  readonly plugins: LoadedPlugin[] = [];
  readonly #options: PluginLoaderOptions;
  readonly #problems: ProblemList;
  readonly #byName = new Map<string, LoadedPlugin>();
  readonly #resolved = new Map<string, Promise<AnyPluginDefinition | ResolveFailure>>();
  readonly #created: OwnedPlugin[] = [];

  constructor(options: PluginLoaderOptions) {
    this.#options = options;
    this.#problems = options.problems;
  }

  find(name: string): LoadedPlugin | undefined {
    return this.#byName.get(name);
  }

  /** The first plugin of a type, whatever its name. */
  findByType(type: string): LoadedPlugin | undefined {
    return this.plugins.find((plugin) => plugin.definition?.type === type);
  }

  /** Some plugin could not be identified: what seems to be missing may be that one. */
  get unresolved(): boolean {
    return this.#options.incomplete || this.plugins.some((plugin) => plugin.definition === undefined);
  }

  async loadDeclared(stated: readonly StatedPlugin[]): Promise<void> {
    // Modules are imported side by side; everything else keeps the order of the file.
    const types = new Set(stated.flatMap(({ type }) => type?.value ?? []));
    await Promise.all([...types].map((type) => this.#resolve(type)));
    for (const [index, entry] of stated.entries()) this.plugins.push(await this.#loadEntry(entry, index));
    for (const plugin of this.plugins) {
      if (plugin.name !== "" && !this.#byName.has(plugin.name)) this.#byName.set(plugin.name, plugin);
    }
    // Of two plugins of one name, the first one has it; the other is not created.
    const sound = this.plugins.filter(
      (plugin) => plugin.sound && this.find(plugin.name) === plugin && this.#checkReferences(plugin),
    );
    for (const plugin of orderByReferences(sound, this.#problems)) this.#create(plugin);
  }

  /** Adds a plugin under its type as name, without parameters. `undefined`: impossible, with the problem reported. */
  async add(type: string, addition: Addition): Promise<LoadedPlugin | undefined> {
    const label = `default plugin ${quote(type)} (${addition.reason})`;
    const namesake = this.#byName.get(type);
    if (namesake !== undefined) {
      this.#problems.add(
        "EPP_CONFIG_NAME_TAKEN",
        addition.at,
        `${label} cannot be added: its name is taken by ${namesake.label}.`,
        `Rename that plugin, or declare one of type ${quote(type)}.`,
      );
      return undefined;
    }
    const outcome = await this.#resolve(type);
    if (isResolveFailure(outcome)) {
      this.#problems.add(
        outcome.kind === "broken" ? "EPP_CONFIG_BROKEN_PLUGIN" : "EPP_CONFIG_NOT_INSTALLED",
        addition.at,
        `${label} cannot be loaded: ${sentence(outcome.message)}`,
        `${this.#install(type, outcome)}${addition.instead}`.trim(),
      );
      return undefined;
    }
    const identity = { name: type, type, label, at: addition.at, declared: false };
    const plugin = await this.#loadDefinition(outcome, undefined, identity);
    this.plugins.push(plugin);
    this.#byName.set(type, plugin);
    if (plugin.sound && this.#checkReferences(plugin)) this.#create(plugin);
    return plugin;
  }

  /** {@link add}, unless the type is unknown here or its package is not installed; the latter is a warning that names `field`. */
  async addIfInstalled(type: string, field: string, addition: Addition): Promise<LoadedPlugin | undefined> {
    if (!this.#options.resolver.known.has(type)) return undefined;
    const outcome = await this.#resolve(type);
    if (!isResolveFailure(outcome) || outcome.kind === "broken") return this.add(type, addition);
    this.#problems.add(
      "EPP_CONFIG_DEFAULT_NOT_INSTALLED",
      addition.at,
      `The default plugin ${quote(type)} (${addition.reason}) is not installed and is left out.`,
      `${this.#install(type, outcome)}Or say in ${field} what to use.`,
    );
    return undefined;
  }

  /** The definition of a type; `undefined` when it cannot be resolved. Reports nothing. */
  async definitionOf(type: string): Promise<AnyPluginDefinition | undefined> {
    if (!this.#options.resolver.known.has(type)) return undefined;
    const outcome = await this.#resolve(type);
    return isResolveFailure(outcome) ? undefined : outcome;
  }

  /** What a plugin of this type writes when added without parameters; `undefined` when it cannot be. Reports nothing. */
  async producedBy(type: string): Promise<readonly AttributeKey<unknown>[] | undefined> {
    const definition = await this.definitionOf(type);
    if (definition === undefined) return undefined;
    const identity = { name: type, type, label: "", at: { offset: 0, path: "" }, declared: false };
    const plugin = await this.#loadDefinition(definition, undefined, identity, new ProblemList("", ""));
    return plugin.sound ? plugin.produces : undefined;
  }

  /** The plugin a reference names; reported when there is none. */
  refer(ref: Stated<string>, from: string): LoadedPlugin | undefined {
    const plugin = this.#byName.get(ref.value);
    if (plugin !== undefined || this.#options.incomplete) return plugin;
    const help = this.#problems.isFull ? "" : this.#helpWithName(ref.value);
    this.#problems.add(
      "EPP_CONFIG_UNDEFINED_REF",
      ref.at,
      `${from} refers to ${quote(ref.value)}, and no plugin has this name.`,
      help,
    );
    return undefined;
  }

  /** The instances by name, for a later load to take over. */
  get created(): ReadonlyMap<string, OwnedPlugin> {
    return new Map(this.#created.map((plugin) => [plugin.name, plugin]));
  }

  /**
   * Lets go of all instances, the last created first: those that nobody else holds are disposed and their timers stopped.
   * What fails is logged.
   */
  async dispose(): Promise<void> {
    for (const plugin of this.#created.splice(0).reverse()) await plugin.letGo(this.#options.environment.logger);
  }

  #helpWithName(name: string): string {
    if (this.#byName.size === 0) return "No plugins are declared.";
    const sameType = this.plugins.find(({ type, definition }) => type === name || definition?.type === name);
    const nearest = sameType?.name ?? this.#problems.nearest(name, this.#byName.keys());
    return `${nearest === undefined ? "" : `Nearest: ${quote(nearest)}. `}Plugins: ${listNames(this.#byName.keys())}.`;
  }

  #resolve(type: string): Promise<AnyPluginDefinition | ResolveFailure> {
    let outcome = this.#resolved.get(type);
    if (outcome === undefined) {
      outcome = resolveSafely(this.#options.resolver, type);
      this.#resolved.set(type, outcome);
    }
    return outcome;
  }

  async #loadEntry(entry: StatedPlugin, index: number): Promise<LoadedPlugin> {
    const name = entry.name?.value ?? "";
    const label = `plugins[${index}]${entry.name === undefined ? "" : ` ${quote(name)}`}`;
    const type = entry.type?.value ?? "";
    const identity: Identity = { name, type, label, at: entry.type?.at ?? entry.at, declared: true };
    const namesake = entry.name === undefined ? undefined : this.plugins.find((plugin) => plugin.name === name);
    if (entry.name !== undefined && namesake !== undefined) {
      this.#problems.add(
        "EPP_CONFIG_DUPLICATE_NAME",
        entry.name.at,
        `${label} has the name of ${namesake.label}.`,
        "Give it a name of its own.",
      );
    }
    if (entry.type === undefined) return { ...identity, ...nothingLoaded };
    const outcome = await this.#resolve(type);
    if (isResolveFailure(outcome)) {
      this.#reportFailure(entry.type, label, outcome);
      return { ...identity, ...nothingLoaded };
    }
    const isAlias =
      outcome.aliases?.includes(type) === true ||
      (type !== outcome.type && this.#options.resolver.known.get(type)?.type === outcome.type);
    if (isAlias) {
      this.#problems.add(
        "EPP_CONFIG_DEPRECATED_TYPE",
        entry.type.at,
        `${label} uses the former type name ${quote(type)}.`,
        `Use ${quote(outcome.type)}${entry.name?.at === entry.type.at ? `, with "name: ${printable(type)}" if something refers to it` : ""}.`,
      );
    }
    return this.#loadDefinition(outcome, entry.parameters, { ...identity, type: isAlias ? outcome.type : type });
  }

  async #loadDefinition(
    definition: AnyPluginDefinition,
    node: ConfigNode | undefined,
    identity: Identity,
    problems: ProblemList = this.#problems,
  ): Promise<LoadedPlugin> {
    const { label, at, name } = identity;
    if (!pluginKinds.includes(definition.kind)) {
      problems.add(
        "EPP_CONFIG_BROKEN_PLUGIN",
        at,
        `${label} is of kind ${quote(definition.kind)}, which does not exist.`,
        `Kinds: ${listNames(pluginKinds)}.`,
      );
      return { ...identity, ...nothingLoaded };
    }
    const unsound: LoadedPlugin = { ...identity, ...nothingLoaded, definition };
    const allowed = definition.stability !== "alpha" || this.#options.allowExperimental;
    if (!allowed) {
      problems.add(
        "EPP_CONFIG_EXPERIMENTAL",
        at,
        `${label} is experimental (alpha).`,
        "Start with --allow-experimental-plugins to use it.",
      );
    }
    const checked = await checkParameters(definition, node, { label, at }, problems);
    if (checked === undefined || !allowed) return unsound;
    const { params, effective } = checked;
    try {
      return {
        ...unsound,
        params,
        parameters: effective,
        consumes: definition.consumes?.(params) ?? {},
        produces: definition.produces?.(params, name) ?? [],
        references: (definition.references?.(params) ?? []).map((reference) => ({
          value: reference.name,
          at: parameterPlace(node, reference.path, at),
        })),
        sound: true,
      };
    } catch (thrown) {
      problems.add("EPP_CONFIG_BROKEN_PLUGIN", at, `${label} cannot say what it needs: ${sentence(errorText(thrown))}`);
      return unsound;
    }
  }

  /** Whether all plugins that the parameters refer to are declared. */
  #checkReferences(plugin: LoadedPlugin): boolean {
    return plugin.references.filter((reference) => this.refer(reference, plugin.label) === undefined).length === 0;
  }

  /** Creates the instance, unless a plugin it refers to could not be created: that one has its problem already. */
  #create(plugin: LoadedPlugin): void {
    const { definition, name, params, label } = plugin;
    if (definition === undefined || plugin.references.some(({ value }) => this.find(value)?.instance === undefined))
      return;
    const references = plugin.references
      .map(({ value }) => this.find(value)?.instance)
      .filter((made) => made !== undefined);
    const known = this.#options.atWork.get(name);
    if (known !== undefined && isMadeOf(known, definition, params, references)) {
      known.hold();
      this.#created.push(known);
      plugin.instance = known.instance;
      return;
    }
    const { environment, baseDirectory } = this.#options;
    const timers = new OwnedTimers(environment.timersFor(name));
    try {
      const host = createHost(definition, name, params, {
        logger: environment.logger.child({ plugin: name, pluginType: definition.type }),
        metrics: environment.metrics,
        clock: environment.clock,
        timers,
        baseDirectory,
        stalenessMs: environment.stalenessMs,
        random: () => environment.random(),
        endpoints: () => environment.endpoints(),
        plugin: (other) => this.find(other)?.instance,
      });
      const instance: unknown = definition.create(params, host);
      if (typeof instance !== "object" || instance === null) throw new Error("create returned no instance");
      if (instance instanceof Promise) {
        // What becomes of it concerns nobody.
        instance.catch(() => {});
        throw new Error("create returned a promise; it must return the instance");
      }
      // What a definition's `create` returns, checked to be an object.
      const made = instance as NonNullable<LoadedPlugin["instance"]>;
      this.#created.push(new OwnedPlugin({ name, definition, params, instance: made, references }, timers));
      const missing = missingMethod(definition.kind, made);
      if (missing === undefined) plugin.instance = made;
      else {
        this.#problems.add(
          "EPP_CONFIG_CREATE_FAILED",
          plugin.at,
          `${label} does not start: what a plugin of kind ${definition.kind} creates needs the method ${quote(missing)}.`,
        );
      }
    } catch (thrown) {
      timers.stopAll();
      this.#problems.add(
        "EPP_CONFIG_CREATE_FAILED",
        plugin.at,
        `${label} does not start: ${sentence(errorText(thrown))}`,
      );
    }
  }

  #reportFailure(type: Stated<string>, label: string, failure: ResolveFailure): void {
    const name = quote(type.value);
    if (failure.kind === "broken") {
      const message = `${label}: type ${name} cannot be loaded: ${sentence(failure.message)}`;
      this.#problems.add("EPP_CONFIG_BROKEN_PLUGIN", type.at, message);
      return;
    }
    if (failure.kind === "not-installed") {
      const message = `${label}: type ${name} is not installed: ${sentence(failure.message)}`;
      this.#problems.add("EPP_CONFIG_NOT_INSTALLED", type.at, message, this.#install(type.value, failure).trim());
      return;
    }
    if (flowControlTypes.has(type.value)) {
      if (this.#options.flowControlRefused) return;
      const message = `${label}: type ${name} belongs to flow control, which is not part of this version.`;
      this.#problems.add("EPP_CONFIG_UNAVAILABLE", type.at, message, "Remove the plugin.");
      return;
    }
    const { known } = this.#options.resolver;
    const nearest = this.#problems.nearest(type.value, known.keys());
    const packageName = nearest === undefined ? undefined : known.get(nearest)?.packageName;
    // There are some eighty types: the list helps where no name is near.
    const types = [...known].filter(([text, entry]) => text === entry.type).map(([text]) => text);
    const help =
      nearest === undefined
        ? `Types: ${listNames(types)}.`
        : `Nearest: ${quote(nearest)} (npm package ${packageName}); epp plugins lists all types.`;
    this.#problems.add(
      "EPP_CONFIG_UNKNOWN_TYPE",
      type.at,
      // For the name of a package, the resolver knows where it looked.
      `${label} has the unknown type ${name}${type.value.includes("/") ? `: ${sentence(failure.message)}` : "."}`,
      help,
    );
  }

  #install(type: string, failure: ResolveFailure): string {
    const packageName = failure.packageName ?? this.#options.resolver.known.get(type)?.packageName;
    return packageName === undefined ? "" : `Install the npm package ${packageName}. `;
  }
}

/** Whether making the plugin anew would give the same as the one at work. */
function isMadeOf(
  known: OwnedPlugin,
  definition: AnyPluginDefinition,
  params: unknown,
  references: readonly PluginInstance[],
): boolean {
  return (
    known.definition.type === definition.type &&
    known.definition.create === definition.create &&
    sameValue(known.params, params) &&
    known.references.length === references.length &&
    known.references.every((reference, i) => reference === references[i])
  );
}

const nothingLoaded: Omit<LoadedPlugin, keyof Identity> = {
  definition: undefined,
  params: undefined,
  parameters: undefined,
  consumes: {},
  produces: [],
  references: [],
  sound: false,
  instance: undefined,
};

async function resolveSafely(resolver: PluginResolver, type: string): Promise<AnyPluginDefinition | ResolveFailure> {
  try {
    return await resolver.resolve(type);
  } catch (thrown) {
    return { kind: "broken", message: errorText(thrown) };
  }
}

function sentence(text: string): string {
  const line = printable(text);
  return /[.!?]$/.test(line) ? line : `${line}.`;
}
