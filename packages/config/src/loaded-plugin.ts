import {
  type AnyPluginDefinition,
  type AttributeKey,
  type Consumes,
  hasRole,
  methodOfRole,
  type NamedPlugin,
  type PluginInstance,
  type PluginKind,
  type Role,
  type Roles,
  rolesOf,
} from "@pointsman/core";
import type { JsonValue, Place } from "./config-node.ts";
import type { Stated } from "./stated-config.ts";

/** A plugin of the configuration, as far as it could be loaded. */
export interface LoadedPlugin {
  readonly name: string;
  /** The type to write in a configuration. */
  readonly type: string;
  /** How problems name it: `plugins[0] "queue-scorer"`. */
  readonly label: string;
  /** The type in the file, or what the plugin was added for. */
  readonly at: Place;
  /** The file names it; otherwise it was added by default. */
  readonly declared: boolean;
  readonly definition: AnyPluginDefinition | undefined;
  /** What its parameters are after the check, as `create` gets them. */
  readonly params: unknown;
  /** What to write as parameters to get the same again. */
  readonly parameters: JsonValue | undefined;
  readonly consumes: Consumes;
  readonly produces: readonly AttributeKey<unknown>[];
  /** Names of the plugins its parameters refer to. */
  readonly references: readonly Stated<string>[];
  /** Nothing is known that keeps it from being created. */
  readonly sound: boolean;
  instance: PluginInstance | undefined;
}

/** A plugin that could be created. */
export type CreatedPlugin = LoadedPlugin & {
  readonly instance: PluginInstance;
  readonly definition: AnyPluginDefinition;
};

export function isCreated(plugin: LoadedPlugin): plugin is CreatedPlugin {
  return plugin.instance !== undefined;
}

const roleOfKind: { readonly [K in PluginKind]: Role | undefined } = {
  filter: "filter",
  scorer: "scorer",
  picker: "picker",
  "profile-handler": "profileHandler",
  screener: "screener",
  producer: "dataProducer",
  admitter: "admitter",
  parser: "parser",
  discovery: "discovery",
  source: "pollingSource",
  extractor: "pollingExtractor",
  "saturation-detector": "saturationDetector",
  decider: "disaggregationDecider",
  "response-processor": undefined,
  policy: undefined,
};

/** Kinds whose plugins have no role beside that of the kind. Others often do: a filter that is a scorer, too. */
const singleRoleKinds: ReadonlySet<PluginKind> = new Set([
  "parser",
  "discovery",
  "source",
  "profile-handler",
  "policy",
]);

/** Kinds that scheduling profiles are made of. Plugins of others may act without the role of their kind. */
const profileKinds: ReadonlySet<PluginKind> = new Set(["filter", "scorer", "picker"]);

export const pluginKinds: readonly string[] = Object.keys(roleOfKind);

/** The method without which an instance is no plugin of its kind; `undefined` when it has it, or needs none. */
export function missingMethod(kind: PluginKind, instance: PluginInstance): string | undefined {
  const role = roleOfKind[kind];
  if (role === undefined || !profileKinds.has(kind) || hasRole(instance, role)) return undefined;
  return methodOfRole(role);
}

/**
 * Whether a plugin takes a role: by its instance if it was created, else by its kind. `undefined` when that does not
 * tell, so that one mistake does not turn up as two.
 */
export function takesRole(plugin: LoadedPlugin, role: Role): boolean | undefined {
  if (plugin.instance !== undefined) return hasRole(plugin.instance, role);
  if (plugin.definition === undefined) return undefined;
  if (roleOfKind[plugin.definition.kind] === role) return true;
  return singleRoleKinds.has(plugin.definition.kind) ? false : undefined;
}

/** Roles that act wherever the plugin is declared, without being referred to. */
const hookRoles: ReadonlySet<Role> = new Set([
  "requestHeaderProcessor",
  "screener",
  "dataProducer",
  "admitter",
  "preRequest",
  "responseHeaderProcessor",
  "responseBodyProcessor",
  "endpointListener",
  "kubernetesListener",
]);

/** Whether the plugin acts without being referred to. */
export function hasHook(plugin: CreatedPlugin): boolean {
  return rolesOf(plugin.instance).some((role) => hookRoles.has(role));
}

/** The plugin under the names it goes by at run time. */
export function namedPlugin(plugin: CreatedPlugin): NamedPlugin {
  return { name: plugin.name, type: plugin.definition.type, instance: plugin.instance };
}

/** The plugin in a role it is known to take. */
export function pluginInRole<R extends Role>(plugin: CreatedPlugin, role: R): NamedPlugin<Roles[R]> | undefined {
  const { instance } = plugin;
  return hasRole(instance, role) ? { name: plugin.name, type: plugin.definition.type, instance } : undefined;
}
