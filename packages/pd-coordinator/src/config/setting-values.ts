import { parseDurationMs } from "@pointsman/core";
import type { ConfigNode } from "./read-document.ts";
import type { SettingSpec } from "./setting-table.ts";

const trueTexts = ["1", "t", "T", "true", "TRUE", "True"];
const falseTexts = ["0", "f", "F", "false", "FALSE", "False"];
/** The longest that a timer can wait. */
const maxDurationMs = 24 * 24 * 3_600_000;

/** Where a value was given, and what it says. */
export interface GivenSetting {
  /** Ready to stand before what is wrong: `file:3:5: server.read_timeout`. */
  readonly where: string;
  readonly node: ConfigNode;
}

/** Reads the values of one table: those that were given, else their defaults. Problems are collected. */
export class SettingValues {
  readonly #specs: ReadonlyMap<string, SettingSpec>;
  readonly #given: ReadonlyMap<string, GivenSetting>;
  readonly #problems: string[];

  constructor(specs: readonly SettingSpec[], given: ReadonlyMap<string, GivenSetting>, problems: string[]) {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
    this.#given = given;
    this.#problems = problems;
  }

  /** Adds a problem of a value; without one that was given, of the setting as such. */
  wrong(name: string, problem: string): void {
    this.#problems.push(`${this.#given.get(name)?.where ?? name} ${problem}`);
  }

  text(name: string): string {
    const value = this.#value(name);
    if (typeof value === "string") return value;
    if (value === undefined) return this.#spec(name).default;
    this.wrong(name, `must be a text, got ${shown(value)}`);
    return this.#spec(name).default;
  }

  boolean(name: string): boolean | undefined {
    const value = this.#value(name) ?? this.#spec(name).default;
    if (typeof value === "boolean") return value;
    if (value === "") return undefined;
    if (typeof value === "string" && trueTexts.includes(value)) return true;
    if (typeof value === "string" && falseTexts.includes(value)) return false;
    this.wrong(name, `must be true or false, got ${shown(value)}`);
    return undefined;
  }

  integer(name: string): number {
    const { min = 0, max = Number.MAX_SAFE_INTEGER, default: fallback } = this.#spec(name);
    const value = this.#value(name) ?? fallback;
    const number = typeof value === "string" && /^[+-]?[0-9]{1,16}$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= min && number <= max) return number;
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`;
    this.wrong(name, `must be a whole number ${range}, got ${shown(value)}`);
    return Number(fallback);
  }

  /** 0 stands for no limit. */
  integerLimit(name: string): number | undefined {
    const value = this.integer(name);
    return value === 0 ? undefined : value;
  }

  durationMs(name: string): number {
    const fallback = this.#spec(name).default;
    const value = this.#value(name) ?? fallback;
    const milliseconds = typeof value === "string" ? parseDurationMs(value) : value === 0 ? 0 : undefined;
    if (milliseconds !== undefined && milliseconds >= 0 && milliseconds <= maxDurationMs) return milliseconds;
    this.wrong(name, `must be a duration such as 500ms, 30s or 2m, up to 576h, got ${shown(value)}`);
    return parseDurationMs(fallback) ?? 0;
  }

  /** 0 stands for no limit. */
  durationLimitMs(name: string): number | undefined {
    const value = this.durationMs(name);
    return value === 0 ? undefined : value;
  }

  /** Missing values: undefined when it is not given or empty. */
  texts(name: string): readonly string[] | undefined {
    const node = this.#given.get(name)?.node;
    if (node === undefined || (node.kind === "scalar" && node.value === null)) return undefined;
    if (node.kind !== "list") {
      this.wrong(name, "must be a list of texts");
      return undefined;
    }
    const texts: string[] = [];
    for (const item of node.items) {
      if (item.kind === "scalar" && typeof item.value === "string") texts.push(item.value);
      else this.wrong(name, "must be a list of texts");
    }
    return texts.length === 0 ? undefined : texts;
  }

  /** Missing values: undefined for "not given" where the setting has no default. */
  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.text(name);
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    if (text !== "") this.wrong(name, `must be one of ${values.join(", ")}; got ${shown(text)}`);
    else if (this.#spec(name).default !== "") return values.find((value) => value === this.#spec(name).default);
    return undefined;
  }

  #spec(name: string): SettingSpec {
    return this.#specs.get(name)!;
  }

  #value(name: string): string | number | boolean | undefined {
    const node = this.#given.get(name)?.node;
    if (node === undefined) return undefined;
    if (node.kind === "scalar") return node.value ?? undefined;
    this.wrong(name, `must be a single value, not a ${node.kind}`);
    return undefined;
  }
}

function shown(value: string | number | boolean): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 64)) : String(value);
}
