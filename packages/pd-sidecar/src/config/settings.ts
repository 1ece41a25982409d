import { parseDurationMs } from "@pointsman/core";
import { flagTable } from "./flag-table.ts";
import type { GivenTexts } from "./parse-arguments.ts";

const trueTexts = ["1", "t", "T", "true", "TRUE", "True"];
const falseTexts = ["0", "f", "F", "false", "FALSE", "False"];

/** Values of settings, wherever they are given: flags before configuration, then environment, then defaults. */
export class Settings {
  readonly #flags: GivenTexts;
  readonly #configuration: GivenTexts;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly problems: string[];

  constructor(
    flags: GivenTexts,
    configuration: GivenTexts,
    environment: Readonly<Record<string, string | undefined>>,
    problems: string[],
  ) {
    this.#flags = flags;
    this.#configuration = configuration;
    this.#environment = environment;
    this.problems = problems;
  }

  isFlag(name: string): boolean {
    return this.#flags.has(name);
  }

  isConfigured(name: string): boolean {
    return this.#configuration.has(name);
  }

  text(name: string): string {
    return this.#texts(name).at(-1) ?? "";
  }

  /** Empty entries are left out. */
  list(name: string): string[] {
    return this.#texts(name)
      .flatMap((text) => text.split(","))
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "");
  }

  /** Missing values: undefined where nothing is given and the flag has no default. */
  flag(name: string): boolean | undefined {
    const text = this.text(name);
    if (text === "") return undefined;
    if (trueTexts.includes(text)) return true;
    if (!falseTexts.includes(text)) this.#wrong(name, text, "true or false");
    return false;
  }

  integer(name: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
    const text = this.text(name);
    const value = Number(text);
    if (/^[+-]?[0-9]+$/.test(text) && value >= min && value <= max) return value;
    this.#wrong(
      name,
      text,
      max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min} on` : `a whole number from ${min} to ${max}`,
    );
    return min;
  }

  durationMs(name: string): number {
    const text = this.text(name);
    const value = parseDurationMs(text);
    if (value !== undefined && value >= 0 && Number.isFinite(value)) return value;
    this.#wrong(name, text, "a duration such as 200ms or 2s");
    return 0;
  }

  /** 0 stands for no limit. */
  optionalDurationMs(name: string): number | undefined {
    const value = this.durationMs(name);
    return value === 0 ? undefined : value;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const text = this.text(name);
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    this.problems.push(`--${name} must be one of: ${values.join(", ")}, got ${JSON.stringify(text.slice(0, 64))}`);
    return values[0]!;
  }

  #texts(name: string): readonly string[] {
    const given = this.#flags.get(name) ?? this.#configuration.get(name);
    if (given !== undefined) return given;
    const spec = flagTable.find((each) => each.name === name);
    const value = spec?.env === undefined ? undefined : this.#environment[spec.env];
    return [value === undefined || value === "" ? (spec?.default ?? "") : value];
  }

  #wrong(name: string, text: string, what: string): void {
    const spec = flagTable.find((each) => each.name === name);
    const fromEnvironment = !this.#flags.has(name) && !this.#configuration.has(name) && spec?.env !== undefined;
    const where = fromEnvironment ? `--${name} (environment variable ${spec.env})` : `--${name}`;
    this.problems.push(`${where} must be ${what}, got ${JSON.stringify(text.slice(0, 64))}`);
  }
}
