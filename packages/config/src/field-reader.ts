import { parseDurationMs } from "@pointsman/core";
import type { ConfigNode, MapEntry } from "./config-node.ts";
import type { ProblemList } from "./config-problem.ts";
import { parseQuantity } from "./quantity.ts";
import { listNames, printable, quote } from "./quote.ts";
import type { Stated } from "./stated-config.ts";

/** The fields of one map. `null` counts as not given, as everywhere in Kubernetes objects. */
export type Fields = ReadonlyMap<string, MapEntry>;

/** Reads typed fields and reports what does not fit. A value that was reported reads as not given. */
export class FieldReader {
  readonly #problems: ProblemList;

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  /** Fields of a map. An unknown field that is nearly a known one is reported and taken for it, so that it is one problem. */
  fields(node: ConfigNode, known: readonly string[]): Fields | undefined {
    if (node.kind !== "map") {
      this.wrongType(node, "a map");
      return undefined;
    }
    const fields = new Map<string, MapEntry>();
    const unknown: MapEntry[] = [];
    for (const entry of node.entries.values()) {
      if (!known.includes(entry.key)) unknown.push(entry);
      else if (!isNull(entry.value)) fields.set(entry.key, entry);
    }
    for (const entry of unknown) {
      const nearest = this.#problems.nearest(entry.key, known);
      const owner = node.at.path === "" ? "The configuration" : node.at.path;
      this.#problems.add(
        "EPP_CONFIG_UNKNOWN_FIELD",
        entry.keyAt,
        `${owner} has no field ${quote(entry.key)}.`,
        `${nearest === undefined ? "" : `Nearest: ${quote(nearest)}. `}Fields: ${listNames(known)}.`,
      );
      if (nearest !== undefined && !node.entries.has(nearest) && !fields.has(nearest) && !isNull(entry.value)) {
        fields.set(nearest, entry);
      }
    }
    return fields;
  }

  list(entry: MapEntry | undefined): readonly ConfigNode[] {
    if (entry === undefined) return [];
    if (entry.value.kind === "list") return entry.value.items;
    this.wrongType(entry.value, "a list");
    return [];
  }

  string(entry: MapEntry | undefined): Stated<string> | undefined {
    if (entry === undefined) return undefined;
    const { value } = entry;
    if (value.kind === "scalar" && typeof value.value === "string") return { value: value.value, at: value.at };
    this.wrongType(value, "a text");
    return undefined;
  }

  boolean(entry: MapEntry | undefined): Stated<boolean> | undefined {
    if (entry === undefined) return undefined;
    const { value } = entry;
    if (value.kind === "scalar" && typeof value.value === "boolean") return { value: value.value, at: value.at };
    this.wrongType(value, "true or false");
    return undefined;
  }

  number(entry: MapEntry | undefined, expected: string): Stated<number> | undefined {
    if (entry === undefined) return undefined;
    const { value } = entry;
    if (value.kind === "scalar" && typeof value.value === "number") return { value: value.value, at: value.at };
    this.wrongType(value, expected);
    return undefined;
  }

  /** A whole number of 64 bits at most. */
  integer(entry: MapEntry | undefined): Stated<number> | undefined {
    const stated = this.number(entry, "a whole number");
    if (stated === undefined || Number.isSafeInteger(stated.value)) return stated;
    this.#problems.add(
      "EPP_CONFIG_BAD_VALUE",
      stated.at,
      `${stated.at.path} is ${stated.value}; a whole number is expected.`,
    );
    return undefined;
  }

  /** Checks a duration of zero or more. */
  checkDuration(entry: MapEntry | undefined, defaultText: string): void {
    if (entry?.value.kind === "scalar" && typeof entry.value.value !== "string") {
      this.wrongType(entry.value, 'a duration such as "30s"');
      return;
    }
    const stated = this.string(entry);
    if (stated === undefined) return;
    const milliseconds = parseDurationMs(stated.value);
    if (milliseconds !== undefined && milliseconds >= 0) return;
    const wrong = milliseconds === undefined ? "which is no duration" : "which is negative";
    this.#problems.add(
      "EPP_CONFIG_BAD_VALUE",
      stated.at,
      `${stated.at.path} is ${quote(stated.value)}, ${wrong}.`,
      `Allowed: a duration of 0s or more such as "30s" or "1m30s", default ${defaultText}.`,
    );
  }

  /** Checks a quantity of zero or more. */
  checkQuantity(entry: MapEntry | undefined, unit: string, defaultText: string): void {
    if (entry === undefined) return;
    const { value } = entry;
    if (value.kind !== "scalar" || typeof value.value === "boolean") {
      this.wrongType(value, "a quantity");
      return;
    }
    const quantity = parseQuantity(typeof value.value === "string" ? value.value : value.source);
    if (quantity !== undefined && quantity >= 0n) return;
    this.#problems.add(
      "EPP_CONFIG_BAD_VALUE",
      value.at,
      `${value.at.path} is ${quote(value.source)}, ${quantity === undefined ? "which is no quantity" : "which is negative"}.`,
      `Allowed: a quantity of 0 or more such as 500, "2k" or "1Gi", ${unit}, default ${defaultText}.`,
    );
  }

  wrongType(node: ConfigNode, expected: string): void {
    const what = node.at.path === "" ? "The configuration" : node.at.path;
    const isText = expected === "a text" && node.kind === "scalar" && node.value !== null;
    this.#problems.add(
      "EPP_CONFIG_WRONG_TYPE",
      node.at,
      `${what} is ${describeNode(node)}; ${expected} is expected.`,
      isText ? `Put it in quotes: ${quote(node.source)}.` : "",
    );
  }
}

function describeNode(node: ConfigNode): string {
  if (node.kind !== "scalar") return `a ${node.kind}`;
  if (node.value === null) return "empty";
  return typeof node.value === "string" ? quote(node.value) : printable(node.source);
}

function isNull(node: ConfigNode): boolean {
  return node.kind === "scalar" && node.value === null;
}
