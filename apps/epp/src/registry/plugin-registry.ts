import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { PluginResolver, ResolveFailure } from "@pointsman/config";
import { type AnyPluginDefinition, errorText, isPluginDefinition, withVariants } from "@pointsman/core";
import { type BuiltinPlugin, builtinPlugins } from "./builtins.gen.ts";

/** A type that names a package: `@scope/name`, or a name with a slash or a leading dot is none of ours. */
function isPackageName(type: string): boolean {
  return type.startsWith("@") && type.includes("/");
}

/**
 * Finds plugins by the type a configuration names: in-tree ones through the generated table, else beside the
 * configuration file; others as npm packages from the node_modules next to the configuration file, then from the app's own.
 */
export class PluginRegistry implements PluginResolver {
  readonly known: ReadonlyMap<string, { readonly packageName: string; readonly type: string }>;
  readonly #builtins: ReadonlyMap<string, BuiltinPlugin>;
  /** A file name next to the configuration; there need be no such file. */
  readonly #besideConfiguration: string;

  constructor(configDirectory: string, builtins: readonly BuiltinPlugin[] = builtinPlugins) {
    this.#besideConfiguration = join(configDirectory, "epp.config.js");
    const byType = new Map<string, BuiltinPlugin>();
    const known = new Map<string, { packageName: string; type: string }>();
    for (const builtin of builtins) {
      for (const name of [builtin.type, ...builtin.aliases]) {
        byType.set(name, builtin);
        known.set(name, { packageName: builtin.packageName, type: builtin.type });
      }
    }
    this.#builtins = byType;
    this.known = known;
  }

  async resolve(type: string): Promise<AnyPluginDefinition | ResolveFailure> {
    const builtin = this.#builtins.get(type);
    if (builtin !== undefined) return this.#resolveBuiltin(builtin);
    if (!isPackageName(type)) return { kind: "unknown", message: `no plugin type "${type}"` };
    const definition = await findPackage(type, [this.#besideConfiguration, import.meta.filename]);
    // In configurations, metrics and logs an outside plugin goes by its package name, whatever it calls itself.
    return isPluginDefinition(definition) ? { ...definition, type } : definition;
  }

  /**
   * An in-tree plugin that was left out of the app's optional dependencies may be installed beside the configuration:
   * with package managers that link strictly, the app does not see it there by itself.
   */
  async #resolveBuiltin({
    type,
    packageName,
    load: importModule,
  }: BuiltinPlugin): Promise<AnyPluginDefinition | ResolveFailure> {
    const loaded = await load(packageName, importModule);
    const definition =
      isPluginDefinition(loaded) || loaded.kind !== "not-installed"
        ? loaded
        : await findPackage(packageName, [this.#besideConfiguration]);
    if (!isPluginDefinition(definition)) return definition;
    return withVariants(definition).find((each) => each.type === type) ?? definition;
  }
}

/** Loads a package from the node_modules of the first of these files that sees it. */
async function findPackage(
  packageName: string,
  places: readonly string[],
): Promise<AnyPluginDefinition | ResolveFailure> {
  for (const place of places) {
    let file: string;
    try {
      // require.resolve honours `exports` with the conditions of require; a plugin package exports its entry for both.
      file = createRequire(place).resolve(packageName);
    } catch (thrown: unknown) {
      if (codeOf(thrown) === "MODULE_NOT_FOUND") continue;
      return {
        kind: "broken",
        message: `package "${packageName}" cannot be resolved: ${errorText(thrown)}`,
        packageName,
      };
    }
    return load(packageName, () => import(pathToFileURL(file).href));
  }
  return { kind: "not-installed", message: `package "${packageName}" is not installed`, packageName };
}

async function load(
  packageName: string,
  importModule: () => Promise<unknown>,
): Promise<AnyPluginDefinition | ResolveFailure> {
  let loaded: unknown;
  try {
    loaded = await importModule();
  } catch (thrown: unknown) {
    const missing = codeOf(thrown) === "ERR_MODULE_NOT_FOUND" && errorText(thrown).includes(`'${packageName}'`);
    return missing
      ? { kind: "not-installed", message: `package "${packageName}" is not installed`, packageName }
      : { kind: "broken", message: `package "${packageName}" failed to load: ${errorText(thrown)}`, packageName };
  }
  const definition = (loaded as { readonly default?: unknown }).default;
  if (isPluginDefinition(definition)) return definition;
  return {
    kind: "broken",
    message: `package "${packageName}" has no plugin definition as its default export`,
    packageName,
  };
}

function codeOf(thrown: unknown): unknown {
  return typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : undefined;
}
