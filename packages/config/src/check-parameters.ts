import {
  type AnyPluginDefinition,
  errorText,
  type ParamsIssue,
  type ParamsOutcome,
  type ParamsSchema,
} from "@pointsman/core";
import {
  type ConfigNode,
  itemPath,
  type JsonValue,
  keyPath,
  type MapEntry,
  type MapNode,
  type Place,
} from "./config-node.ts";
import type { ProblemList } from "./config-problem.ts";
import { type JsonSchema, type ObjectShape, ParameterSchema } from "./parameter-schema.ts";
import { listNames, printable, quote } from "./quote.ts";
import { sameValue } from "./same-value.ts";

/** A plugin as problems name it. */
export interface PluginLabel {
  /** `plugins[0] "queue-scorer"` */
  readonly label: string;
  /** Where to point when there is no better place. */
  readonly at: Place;
}

/** Checked parameters of one plugin. */
export interface CheckedParameters {
  /** What `create` gets. */
  readonly params: unknown;
  /** What to write to get the same again, defaults included; `undefined` where there is nothing to write. */
  readonly effective: JsonValue | undefined;
}

/** Checks the parameters of a plugin; `undefined` when they were refused, with the problems reported. Never throws. */
export async function checkParameters(
  definition: AnyPluginDefinition,
  node: ConfigNode | undefined,
  plugin: PluginLabel,
  problems: ProblemList,
): Promise<CheckedParameters | undefined> {
  const given = node === undefined || (node.kind === "scalar" && node.value === null) ? undefined : node;
  const { params: schema } = definition;
  if (schema === undefined) {
    if (given !== undefined && !(given.kind === "map" && given.entries.size === 0)) {
      problems.add(
        "EPP_CONFIG_PARAMS_IGNORED",
        given.at,
        `${plugin.label} has no parameters; what is given has no effect.`,
        "Remove the parameters, or check the type.",
      );
    }
    return { params: undefined, effective: undefined };
  }
  return new ParameterCheck(schema, given, plugin, problems).run();
}

type Path = readonly (string | number)[];

class ParameterCheck {
  readonly #schema: ParamsSchema<unknown>;
  readonly #shape: ParameterSchema;
  readonly #node: ConfigNode | undefined;
  readonly #plugin: PluginLabel;
  readonly #problems: ProblemList;
  readonly #entries = new Map<MapNode, ReadonlyMap<string, MapEntry>>();
  #refused = false;

  constructor(schema: ParamsSchema<unknown>, node: ConfigNode | undefined, plugin: PluginLabel, problems: ProblemList) {
    this.#schema = schema;
    this.#shape = new ParameterSchema(jsonSchemaOf(schema));
    this.#node = node;
    this.#plugin = plugin;
    this.#problems = problems;
  }

  async run(): Promise<CheckedParameters | undefined> {
    const value = this.#node === undefined ? {} : this.#value(this.#node, this.#shape.root, []);
    const params = await this.#validate(value);
    if (this.#refused || params === undefined) return undefined;
    const filled = this.#withDefaults(value, this.#shape.root);
    const again = await this.#outcomeOf(filled).catch(() => undefined);
    // A default that is not written as it is read (a duration kept as a number) must not change what is read back.
    const faithful = again !== undefined && again.issues === undefined && sameValue(again.value, params.value);
    const effective = faithful ? filled : value;
    return {
      params: params.value,
      effective: isPlainMap(effective) && Object.keys(effective).length === 0 ? undefined : effective,
    };
  }

  async #outcomeOf(value: JsonValue): Promise<ParamsOutcome<unknown>> {
    return this.#schema["~standard"].validate(value);
  }

  async #validate(value: JsonValue): Promise<{ readonly value: unknown } | undefined> {
    try {
      const outcome = await this.#outcomeOf(value);
      if (outcome.issues === undefined) return outcome;
      for (const issue of outcome.issues) this.#reportIssue(issue);
    } catch (thrown) {
      const text = printable(errorText(thrown));
      this.#problems.add(
        "EPP_CONFIG_BROKEN_PLUGIN",
        this.#plugin.at,
        `${this.#plugin.label} cannot check its parameters: ${text}.`,
      );
    }
    return undefined;
  }

  /** The value to check: keys in their right spelling, `null` as not given. */
  #value(node: ConfigNode, schema: JsonSchema, path: Path): JsonValue {
    if (node.kind === "scalar") return node.value;
    if (node.kind === "list") {
      return node.items.map((item, index) =>
        this.#value(item, this.#shape.itemSchema(schema, index), [...path, index]),
      );
    }
    const shape = this.#shape.objectShape(schema) ?? { properties: new Map<string, JsonSchema>(), others: {} };
    const value: Record<string, JsonValue> = {};
    for (const [name, entry] of this.#named(node, shape, path)) {
      const property = shape.properties.get(name) ?? shape.others ?? {};
      const isNull = entry.value.kind === "scalar" && entry.value.value === null;
      if (isNull && shape.properties.has(name) && !this.#shape.admitsNull(property)) continue;
      value[name] = this.#value(entry.value, property, [...path, name]);
    }
    return value;
  }

  /**
   * The entries of a map by the names they are read under. An unknown name is reported and taken for the nearest one,
   * unless that is given, too: it is one problem then, not also a missing parameter.
   */
  #named(node: MapNode, shape: ObjectShape, path: Path): ReadonlyMap<string, MapEntry> {
    const names = [...shape.properties.keys()];
    const named = new Map<string, MapEntry>();
    this.#entries.set(node, named);
    const unknown: MapEntry[] = [];
    for (const entry of node.entries.values()) {
      const name = this.#knownName(entry, node.entries, names) ?? (shape.others === undefined ? undefined : entry.key);
      if (name === undefined) unknown.push(entry);
      else if (!named.has(name)) named.set(name, entry);
      else {
        this.#refused = true;
        this.#problems.add(
          "EPP_CONFIG_DUPLICATE_FIELD",
          entry.keyAt,
          `${this.#plugin.label} has the parameter ${quote(pathText([...path, name]))} twice, in spellings that differ in case.`,
          "Keep one of both.",
        );
      }
    }
    for (const entry of unknown) {
      const nearest = this.#reportUnknown(entry, shape.properties, path);
      if (nearest !== undefined && !named.has(nearest)) named.set(nearest, entry);
    }
    return named;
  }

  /** The schema's spelling of a key, with a warning when it differs from the given one. */
  #knownName(entry: MapEntry, all: ReadonlyMap<string, MapEntry>, names: readonly string[]): string | undefined {
    if (names.includes(entry.key)) return entry.key;
    const folded = entry.key.toLowerCase();
    const name = names.find((candidate) => candidate.toLowerCase() === folded);
    if (name !== undefined && !all.has(name)) {
      this.#problems.add(
        "EPP_CONFIG_PARAM_CASE",
        entry.keyAt,
        `${this.#plugin.label} spells the parameter ${quote(entry.key)} as ${quote(name)}.`,
        `Use ${quote(name)}.`,
      );
    }
    return name;
  }

  /** Reports a parameter that does not exist, and returns the name nearest to it. */
  #reportUnknown(entry: MapEntry, properties: ReadonlyMap<string, JsonSchema>, path: Path): string | undefined {
    this.#refused = true;
    const names = [...properties.keys()];
    const nearest = this.#problems.nearest(entry.key, names);
    const described = nearest === undefined ? "" : this.#shape.describe(properties.get(nearest) ?? {});
    const hint =
      nearest === undefined ? "" : `Nearest: ${quote(nearest)}${described === "" ? "" : ` (${described})`}. `;
    this.#problems.add(
      "EPP_CONFIG_UNKNOWN_PARAM",
      entry.keyAt,
      `${this.#plugin.label} has no parameter ${quote(pathText([...path, entry.key]))}.`,
      names.length === 0 ? "" : `${hint}Parameters: ${listNames(names)}.`,
    );
    return nearest;
  }

  #reportIssue(issue: ParamsIssue): void {
    const path = (issue.path ?? []).map((step) => {
      const key = typeof step === "object" ? step.key : step;
      return typeof key === "number" ? key : String(key);
    });
    const { node, depth } = this.#find(path);
    // zod lists keys it does not know in a field of its own.
    const { keys } = issue as { readonly keys?: unknown };
    if (Array.isArray(keys) && node?.kind === "map" && depth === path.length) {
      const shape = this.#shape.objectShape(this.#shape.at(path));
      const entries = keys.flatMap((key) => node.entries.get(String(key)) ?? []);
      for (const entry of entries) {
        const others = new Map([...(shape?.properties ?? [])].filter(([name]) => name !== entry.key));
        this.#reportUnknown(entry, others, path);
      }
      if (entries.length > 0) return;
    }
    this.#refused = true;
    const name = path.length === 0 ? "parameters" : pathText(path);
    const allowed = this.#shape.describe(this.#shape.at(path));
    const help = allowed === "" ? "" : `Allowed: ${allowed}.`;
    if (depth < path.length && this.#isRequired(path)) {
      const at = node?.at ?? this.#plugin.at;
      this.#problems.add(
        "EPP_CONFIG_MISSING_PARAM",
        at,
        `${this.#plugin.label} needs the parameter ${quote(name)}.`,
        help,
      );
      return;
    }
    const complaint = sentence(issue.message);
    const stated = depth === path.length && node !== undefined && node.kind === "scalar" && path.length > 0;
    this.#problems.add(
      "EPP_CONFIG_BAD_PARAM",
      node?.at ?? this.#plugin.at,
      stated
        ? `${this.#plugin.label}: parameter ${quote(name)} is ${quote(node.value)}: ${complaint}`
        : `${this.#plugin.label}: ${path.length === 0 ? name : `parameter ${quote(name)}`}: ${complaint}`,
      help,
    );
  }

  #isRequired(path: Path): boolean {
    const last = path.at(-1);
    return this.#shape.branches(this.#shape.at(path.slice(0, -1))).some((branch) => {
      const { required } = branch as { readonly required?: unknown };
      return Array.isArray(required) && required.includes(last);
    });
  }

  /** The node at the end of a path, or the last one on the way that exists, and how many steps led there. */
  #find(path: Path): { readonly node: ConfigNode | undefined; readonly depth: number } {
    let node = this.#node;
    for (const [depth, step] of path.entries()) {
      const next = node?.kind === "map" ? this.#entries.get(node)?.get(String(step))?.value : childOf(node, step);
      if (next === undefined) return { node, depth };
      node = next;
    }
    return { node, depth: path.length };
  }

  #withDefaults(value: JsonValue, schema: JsonSchema): JsonValue {
    if (Array.isArray(value)) {
      return (value as readonly JsonValue[]).map((item, index) =>
        this.#withDefaults(item, this.#shape.itemSchema(schema, index)),
      );
    }
    if (!isPlainMap(value)) return value;
    const filled: Record<string, JsonValue> = {};
    const branches = this.#shape.branches(schema);
    // Which alternative applies is for the schema's own check to say.
    const shape = branches.length === 1 ? this.#shape.objectShape(schema) : undefined;
    for (const [key, item] of Object.entries(value)) {
      filled[key] = this.#withDefaults(item, shape?.properties.get(key) ?? shape?.others ?? {});
    }
    for (const [name, property] of shape?.properties ?? []) {
      const standard = property["default"];
      if (standard === undefined || Object.hasOwn(filled, name)) continue;
      // Defaults of a JSON Schema are JSON; they are copied so that the schema's own objects are not handed on.
      filled[name] = this.#withDefaults(structuredCopy(standard), property);
    }
    return filled;
  }
}

/** Finds the node of a parameter that a plugin's declarations refer to; the nearest one on the way when it is not written. */
export function parameterPlace(parameters: ConfigNode | undefined, path: readonly string[], otherwise: Place): Place {
  let node = parameters;
  for (const step of path) {
    const next = childOf(node, step);
    if (next === undefined) break;
    node = next;
  }
  return node?.at ?? otherwise;
}

function childOf(node: ConfigNode | undefined, step: string | number): ConfigNode | undefined {
  if (node?.kind === "list") return node.items[Number(step)];
  if (node?.kind !== "map") return undefined;
  const key = String(step);
  const exact = node.entries.get(key);
  if (exact !== undefined) return exact.value;
  const folded = key.toLowerCase();
  return [...node.entries.values()].find((entry) => entry.key.toLowerCase() === folded)?.value;
}

/** The JSON Schema of the input; empty where the library cannot express it, so that only its own check counts. */
function jsonSchemaOf(schema: ParamsSchema<unknown>): JsonSchema {
  try {
    return schema["~standard"].jsonSchema.input({ target: "draft-2020-12" });
  } catch {
    return {};
  }
}

function structuredCopy(value: unknown): JsonValue {
  // JSON in, JSON out.
  return JSON.parse(JSON.stringify(value)) as JsonValue;
}

function isPlainMap(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pathText(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === "number" ? itemPath(text, step) : keyPath(text, step)),
    "",
  );
}

/** A complaint of a schema library as the end of a sentence. */
function sentence(message: string): string {
  const text = printable(message).replace(/^Invalid (input|option): /, "");
  const lowered = text.charAt(0).toLowerCase() + text.slice(1);
  return /[.!?]$/.test(lowered) ? lowered : `${lowered}.`;
}
