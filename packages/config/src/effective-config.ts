import { Document, isScalar, visit } from "yaml";
import type { JsonValue } from "./config-node.ts";
import { takesRole } from "./loaded-plugin.ts";
import type { PluginLoader } from "./plugin-loader.ts";
import { configApiVersion, configKind } from "./read-config.ts";
import type { StatedConfig } from "./stated-config.ts";
import type { Wiring } from "./wiring.ts";
import { yamlOptions } from "./yaml-schema.ts";

/** The configuration that is in force, as it would be written with every default spelled out. */
export interface EffectiveConfig {
  readonly apiVersion: string;
  readonly kind: string;
  /** `name=true` or `name=false`, every gate. */
  readonly featureGates: readonly string[];
  readonly plugins: readonly EffectivePlugin[];
  readonly schedulingProfiles: readonly EffectiveProfile[];
  readonly dataLayer: {
    readonly injectDefaults: boolean;
    readonly sources: readonly { readonly pluginRef: string; readonly extractors: readonly PluginRef[] }[];
    readonly discovery?: PluginRef;
  };
  readonly requestHandler: { readonly parsers: readonly PluginRef[] };
  readonly flowControl?: { readonly saturationDetector: PluginRef };
}

export interface PluginRef {
  readonly pluginRef: string;
}

export interface EffectivePlugin {
  readonly name: string;
  readonly type: string;
  /** Absent where there are none. */
  readonly parameters?: JsonValue;
}

export interface EffectiveProfile {
  readonly name: string;
  readonly plugins: readonly { readonly pluginRef: string; readonly weight?: number }[];
}

const ref = ({ name }: { readonly name: string }): PluginRef => ({ pluginRef: name });

export function effectiveConfig(stated: StatedConfig, wiring: Wiring, loader: PluginLoader): EffectiveConfig {
  const { discovery, saturationDetector } = wiring;
  return {
    apiVersion: configApiVersion,
    kind: configKind,
    featureGates: [...stated.featureGates].map(([name, on]) => `${name}=${on}`),
    plugins: loader.plugins.map(({ name, type, parameters }) => ({
      name,
      type,
      ...(parameters === undefined ? {} : { parameters }),
    })),
    schedulingProfiles: wiring.profiles.map(({ name, entries }) => ({
      name,
      plugins: entries.map(({ plugin, weight }) => ({
        ...ref(plugin),
        ...(takesRole(plugin, "scorer") === true ? { weight } : {}),
      })),
    })),
    dataLayer: {
      injectDefaults: stated.injectDefaults,
      sources: wiring.sources.map(({ source, extractors }) => ({ ...ref(source), extractors: extractors.map(ref) })),
      ...(discovery === undefined ? {} : { discovery: ref(discovery) }),
    },
    requestHandler: { parsers: wiring.parsers.map(ref) },
    ...(saturationDetector === undefined ? {} : { flowControl: { saturationDetector: ref(saturationDetector) } }),
  };
}

/** Writes an effective configuration as YAML. Loading the text gives the same configuration again. */
export function printEffective(effective: EffectiveConfig): string {
  const document = new Document(effective, { ...yamlOptions, aliasDuplicateObjects: false });
  visit(document, {
    Pair: (_, { key }) => {
      // Unquoted, it would be a merge key.
      if (isScalar(key) && key.value === "<<") key.type = "QUOTE_DOUBLE";
    },
  });
  return document.toString({
    lineWidth: 0,
    blockQuote: false,
    doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER,
  });
}
