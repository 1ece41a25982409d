import type { ConfigNode, MapEntry, Place } from "./config-node.ts";
import type { ProblemList } from "./config-problem.ts";
import { readFeatureGates } from "./feature-gates.ts";
import { FieldReader, type Fields } from "./field-reader.ts";
import { quote } from "./quote.ts";
import { checkFlowControl } from "./read-flow-control.ts";
import type {
  Stated,
  StatedConfig,
  StatedPlugin,
  StatedProfile,
  StatedProfilePlugin,
  StatedSource,
} from "./stated-config.ts";

export const configApiVersion = "llm-d.ai/v1alpha1";
export const configKind = "EndpointPickerConfig";
/** More than any pool needs, few enough to check each against the others. */
const maxPlugins = 1000;
const formerApiVersion = "inference.networking.x-k8s.io/v1alpha1";

/** Reads the typed part of the document. Reports what does not fit and returns the rest; never throws. */
export function readConfig(root: ConfigNode, problems: ProblemList): StatedConfig | undefined {
  return new ConfigReader(problems).read(root);
}

class ConfigReader {
  readonly #problems: ProblemList;
  readonly #read: FieldReader;
  #incomplete = false;

  constructor(problems: ProblemList) {
    this.#problems = problems;
    this.#read = new FieldReader(problems);
  }

  read(root: ConfigNode): StatedConfig | undefined {
    const fields = this.#read.fields(root, [
      "apiVersion",
      "kind",
      "featureGates",
      "plugins",
      "schedulingProfiles",
      "dataLayer",
      "flowControl",
      "requestHandler",
      "saturationDetector",
      "parser",
    ]);
    if (fields === undefined) return undefined;
    this.#checkEnvelope(fields);
    const featureGates = readFeatureGates(this.#strings(fields.get("featureGates")), this.#problems);
    const pluginsEntry = fields.get("plugins");
    if (pluginsEntry !== undefined && pluginsEntry.value.kind !== "list") this.#incomplete = true;
    const pluginNodes = this.#read.list(pluginsEntry);
    const tooMany = pluginNodes[maxPlugins];
    if (tooMany !== undefined) {
      this.#incomplete = true;
      const message = `There are ${pluginNodes.length} plugins; at most ${maxPlugins} are read.`;
      this.#problems.add("EPP_CONFIG_TOO_LARGE", tooMany.at, message);
    }
    const plugins = pluginNodes.slice(0, maxPlugins).map((node) => this.#plugin(node));
    return {
      featureGates,
      plugins,
      profiles: this.#profiles(fields.get("schedulingProfiles")),
      ...this.#dataLayer(fields.get("dataLayer")),
      saturationDetector: this.#saturationDetector(fields, featureGates),
      parsers: this.#parsers(fields),
      incomplete: this.#incomplete,
    };
  }

  #checkEnvelope(fields: Fields): void {
    const apiVersion = this.#read.string(fields.get("apiVersion"));
    const correct = `Use ${quote(configApiVersion)}.`;
    if (apiVersion?.value === formerApiVersion) {
      this.#problems.add(
        "EPP_CONFIG_DEPRECATED_API_VERSION",
        apiVersion.at,
        `The apiVersion ${quote(apiVersion.value)} is the former one.`,
        correct,
      );
    } else if (apiVersion !== undefined && apiVersion.value !== configApiVersion && apiVersion.value !== "") {
      this.#problems.add(
        "EPP_CONFIG_API_VERSION",
        apiVersion.at,
        `The apiVersion ${quote(apiVersion.value)} is unknown.`,
        correct,
      );
    }
    const kind = this.#read.string(fields.get("kind"));
    if (kind !== undefined && kind.value !== configKind && kind.value !== "") {
      this.#problems.add(
        "EPP_CONFIG_API_VERSION",
        kind.at,
        `The kind ${quote(kind.value)} is unknown.`,
        `Use ${quote(configKind)}.`,
      );
    }
  }

  #plugin(node: ConfigNode): StatedPlugin {
    const fields = isNull(node) ? emptyFields : this.#read.fields(node, ["name", "type", "parameters"]);
    const at = node.at;
    if (fields === undefined) {
      this.#incomplete = true;
      return { name: undefined, type: undefined, parameters: undefined, at };
    }
    const type = this.#read.string(fields.get("type"));
    const name = this.#read.string(fields.get("name"));
    const nameUnreadable = fields.has("name") && name === undefined;
    const typeUnreadable = fields.has("type") && type === undefined;
    const hasName = name !== undefined && name.value !== "";
    if (nameUnreadable || (typeUnreadable && !hasName)) this.#incomplete = true;
    const parameters = fields.get("parameters")?.value;
    if (type === undefined || type.value === "") {
      if (!typeUnreadable) this.#missing(type?.at ?? at, `${at.path} has no type.`, "Name the plugin type.");
      if (!hasName) this.#incomplete = true;
      return { name: hasName ? name : undefined, type: undefined, parameters, at };
    }
    return { name: hasName ? name : type, type, parameters, at };
  }

  #profiles(entry: MapEntry | undefined): readonly StatedProfile[] | undefined {
    const nodes = this.#read.list(entry);
    if (entry === undefined || (entry.value.kind === "list" && nodes.length === 0)) return undefined;
    const seen = new Set<string>();
    return nodes.map((node) => {
      const fields = isNull(node) ? emptyFields : this.#read.fields(node, ["name", "plugins"]);
      const name = this.#read.string(fields?.get("name"));
      if (fields !== undefined && (name?.value === "" || !fields.has("name"))) {
        this.#missing(name?.at ?? node.at, `${node.at.path} has no name.`, "Name the profile.");
      }
      if (name !== undefined && seen.has(name.value)) {
        this.#problems.add(
          "EPP_CONFIG_DUPLICATE_PROFILE",
          name.at,
          `A profile ${quote(name.value)} stands further up.`,
        );
      }
      if (name !== undefined && name.value !== "") seen.add(name.value);
      const plugins = this.#read.list(fields?.get("plugins")).flatMap((item) => this.#profilePlugin(item));
      return { name, plugins, at: node.at };
    });
  }

  #profilePlugin(node: ConfigNode): readonly StatedProfilePlugin[] {
    const fields = isNull(node) ? emptyFields : this.#read.fields(node, ["pluginRef", "weight"]);
    if (fields === undefined) return [];
    const ref = this.#requiredRef(fields, node.at);
    const weight = this.#read.number(fields.get("weight"), "a number of 0 or more");
    if (weight !== undefined && !(weight.value >= 0 && weight.value < Number.POSITIVE_INFINITY)) {
      this.#problems.add(
        "EPP_CONFIG_BAD_VALUE",
        weight.at,
        `${weight.at.path} is ${weight.value}.`,
        "Allowed: a number of 0 or more, default 1.",
      );
    }
    return ref === undefined ? [] : [{ ref, weight }];
  }

  #dataLayer(entry: MapEntry | undefined): Pick<StatedConfig, "injectDefaults" | "sources" | "discovery"> {
    const fields =
      entry === undefined
        ? undefined
        : this.#read.fields(entry.value, [
            "injectDefaults",
            "sources",
            "discovery",
            "peerDiscovery",
            "crossReplicaSyncerPluginRef",
            "crossReplicaSyncInterval",
          ]);
    if (fields === undefined) return { injectDefaults: true, sources: [], discovery: undefined };
    const sources = this.#read.list(fields.get("sources")).flatMap((node): StatedSource[] => {
      const source = isNull(node) ? emptyFields : this.#read.fields(node, ["pluginRef", "extractors"]);
      if (source === undefined) return [];
      const ref = this.#requiredRef(source, node.at);
      const extractors = this.#read.list(source.get("extractors")).flatMap((item) => this.#pluginRefs(item));
      return ref === undefined ? [] : [{ ref, extractors }];
    });
    const discovery = fields.get("discovery");
    const peerDiscovery = fields.get("peerDiscovery");
    if (peerDiscovery !== undefined) {
      this.#pluginRefs(peerDiscovery.value);
      this.#problems.add(
        "EPP_CONFIG_IGNORED_FIELD",
        peerDiscovery.keyAt,
        "dataLayer.peerDiscovery has no effect: nothing reads it.",
        "Remove it.",
      );
    }
    const syncer = this.#read.string(fields.get("crossReplicaSyncerPluginRef"));
    if (syncer !== undefined && syncer.value !== "") {
      this.#problems.add(
        "EPP_CONFIG_UNAVAILABLE",
        syncer.at,
        "dataLayer.crossReplicaSyncerPluginRef asks for a syncer, and exchange of state between replicas is not part of this version.",
        "Remove the field.",
      );
    }
    const interval = fields.get("crossReplicaSyncInterval");
    this.#read.checkDuration(interval, "200ms");
    if (interval !== undefined && (syncer === undefined || syncer.value === "")) {
      this.#problems.add(
        "EPP_CONFIG_IGNORED_FIELD",
        interval.keyAt,
        "dataLayer.crossReplicaSyncInterval has no effect without a syncer.",
        "Remove it.",
      );
    }
    return {
      injectDefaults: this.#read.boolean(fields.get("injectDefaults"))?.value ?? true,
      sources,
      discovery: discovery === undefined ? undefined : this.#pluginRefs(discovery.value)[0],
    };
  }

  #saturationDetector(fields: Fields, gates: ReadonlyMap<string, boolean>): Stated<string> | undefined {
    const current = checkFlowControl(fields.get("flowControl"), gates, this.#read, this.#problems);
    const former = this.#optionalRef(fields.get("saturationDetector"));
    return this.#moved(fields.get("saturationDetector"), former, current, "flowControl.saturationDetector");
  }

  #parsers(fields: Fields): readonly Stated<string>[] {
    const entry = fields.get("requestHandler");
    const handler = entry === undefined ? undefined : this.#read.fields(entry.value, ["parsers"]);
    const current = this.#read.list(handler?.get("parsers")).flatMap((node) => this.#pluginRefs(node));
    const formerEntry = fields.get("parser");
    const former = formerEntry === undefined ? undefined : this.#pluginRefs(formerEntry.value)[0];
    const moved = this.#moved(formerEntry, former, current[0], "requestHandler.parsers");
    return current.length > 0 || moved === undefined ? current : [moved];
  }

  /** Takes what a former field says unless the current one says something. */
  #moved<T>(entry: MapEntry | undefined, former: T | undefined, current: T | undefined, field: string): T | undefined {
    if (entry === undefined) return current;
    this.#problems.add(
      "EPP_CONFIG_DEPRECATED_FIELD",
      entry.keyAt,
      `The field ${entry.key} is deprecated${current === undefined ? "" : ` and has no effect beside ${field}`}.`,
      `Use ${field}.`,
    );
    return current ?? former;
  }

  #strings(entry: MapEntry | undefined): readonly Stated<string>[] {
    return this.#read.list(entry).flatMap((node) => {
      if (node.kind === "scalar" && typeof node.value === "string") return [{ value: node.value, at: node.at }];
      this.#read.wrongType(node, "a text");
      return [];
    });
  }

  /** The reference of a `{pluginRef}` map, as a list of one or none. */
  #pluginRefs(node: ConfigNode): readonly Stated<string>[] {
    const fields = isNull(node) ? emptyFields : this.#read.fields(node, ["pluginRef"]);
    const ref = fields === undefined ? undefined : this.#requiredRef(fields, node.at);
    return ref === undefined ? [] : [ref];
  }

  #requiredRef(fields: Fields, at: Place): Stated<string> | undefined {
    const ref = this.#read.string(fields.get("pluginRef"));
    if (ref !== undefined && ref.value !== "") return ref;
    if (ref !== undefined || !fields.has("pluginRef")) {
      this.#missing(ref?.at ?? at, `${at.path} has no pluginRef.`, "Give the name of a plugin.");
    }
    return undefined;
  }

  /** A reference that may be left out or empty. */
  #optionalRef(entry: MapEntry | undefined): Stated<string> | undefined {
    const fields = entry === undefined ? undefined : this.#read.fields(entry.value, ["pluginRef"]);
    const ref = this.#read.string(fields?.get("pluginRef"));
    return ref === undefined || ref.value === "" ? undefined : ref;
  }

  #missing(at: Place, message: string, help: string): void {
    this.#problems.add("EPP_CONFIG_MISSING_VALUE", at, message, help);
  }
}

const emptyFields: Fields = new Map();

function isNull(node: ConfigNode): boolean {
  return node.kind === "scalar" && node.value === null;
}
