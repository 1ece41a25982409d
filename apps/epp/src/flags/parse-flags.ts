import { nearestName, parseDurationMs } from "@pointsman/core";
import { type FlagSpec, flagTable } from "./flag-table.ts";
import { parseSize } from "./parse-size.ts";

/** Parsed flags: values by name in their kind's type, and what to say about them. */
export interface ParsedFlags {
  readonly values: ReadonlyMap<string, FlagValue>;
  /** Names that the command line sets. */
  readonly given: ReadonlySet<string>;
  readonly warnings: readonly string[];
  /** Arguments that are no flags. */
  readonly positional: readonly string[];
}

/** Nothing larger can be received or sent in one piece. */
const largestBytes = 2 ** 31 - 1;

export type FlagValue = string | number | boolean | readonly string[] | undefined;

/** The result, or every problem of the command line. */
export type FlagOutcome = ParsedFlags | { readonly problems: readonly string[] };

/**
 * Parses a command line as Go's pflag does: `--name value`, `--name=value`, `-v 4`, `-v4`, booleans without a value or
 * with `=false`; the last of several wins, and lists add up; `--` ends the flags.
 */
export function parseFlags(args: readonly string[], table: readonly FlagSpec[] = flagTable): FlagOutcome {
  const specs = new Map(table.map((spec) => [spec.name, spec]));
  const values = new Map<string, FlagValue>();
  const given = new Set<string>();
  const problems: string[] = [];
  const warnings: string[] = [];
  const positional: string[] = [];
  for (const spec of table) values.set(spec.name, parseValue(spec, spec.default).value);

  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      positional.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      positional.push(arg);
      continue;
    }
    const { spec, inline, shown } = find(arg, table, specs);
    if (spec === undefined) {
      const near = nearestName(shown.replace(/^-+/, ""), [...specs.keys()]);
      problems.push(
        `unknown flag ${shown}${near === undefined ? "." : `; did you mean --${near}?`} See --help for all flags.`,
      );
      continue;
    }
    let text = inline;
    if (text === undefined) {
      if (spec.kind === "boolean") text = "true";
      else if (i + 1 < args.length) text = args[++i]!;
      else {
        problems.push(`flag --${spec.name} needs a value (${describeKind(spec)})`);
        continue;
      }
    }
    const earlier = given.has(spec.name) ? values.get(spec.name) : undefined;
    given.add(spec.name);
    if (spec.status === "removed") {
      problems.push(`flag --${spec.name} was removed: ${spec.note}`);
      continue;
    }
    const parsed = parseValue(spec, text);
    if (parsed.problem !== undefined) problems.push(`flag --${spec.name}: ${parsed.problem}`);
    else if (spec.status === "unavailable" && text !== spec.default) {
      problems.push(`flag --${spec.name}=${text} cannot be honoured: ${spec.note}`);
    } else
      values.set(spec.name, isList(earlier) && isList(parsed.value) ? [...earlier, ...parsed.value] : parsed.value);
  }
  if (problems.length > 0) return { problems };
  for (const name of given) {
    const spec = specs.get(name)!;
    if (spec.status === "no-effect") warnings.push(`flag --${name} has no effect: ${spec.note}`);
  }
  return { values, given, warnings, positional };
}

function find(
  arg: string,
  table: readonly FlagSpec[],
  specs: ReadonlyMap<string, FlagSpec>,
): { spec: FlagSpec | undefined; inline: string | undefined; shown: string } {
  const equals = arg.indexOf("=");
  const shown = equals === -1 ? arg : arg.slice(0, equals);
  const inline = equals === -1 ? undefined : arg.slice(equals + 1);
  if (arg.startsWith("--")) return { spec: specs.get(shown.slice(2)), inline, shown };
  const short = table.find((spec) => spec.short === arg[1]);
  if (short === undefined) return { spec: undefined, inline, shown };
  // `-v4` as well as `-v=4` and `-v 4`.
  const rest = arg.slice(2);
  return { spec: short, inline: rest === "" ? undefined : rest.replace(/^=/, ""), shown };
}

function isList(value: FlagValue): value is readonly string[] {
  return Array.isArray(value);
}

function describeKind(spec: FlagSpec): string {
  if (spec.oneOf !== undefined) return `one of ${spec.oneOf.filter((value) => value !== "").join(", ")}`;
  switch (spec.kind) {
    case "integer":
      return spec.min === undefined ? "an integer" : `an integer from ${spec.min} to ${spec.max}`;
    case "duration":
      return "a duration such as 50ms, 2s or 1m30s";
    case "size":
      return "a size such as 10MiB or 64M";
    case "boolean":
      return "true or false";
    case "list":
      return "a comma-separated list";
    default:
      return "a text";
  }
}

function parseValue(spec: FlagSpec, text: string): { value: FlagValue; problem?: string } {
  const wrong = (): { value: undefined; problem: string } => ({
    value: undefined,
    problem: `${JSON.stringify(text)} is not ${describeKind(spec)} (default ${JSON.stringify(spec.default)})`,
  });
  if (spec.oneOf !== undefined && !spec.oneOf.includes(text)) return wrong();
  switch (spec.kind) {
    case "string":
      return { value: text };
    case "list":
      return { value: text === "" ? [] : text.split(",") };
    case "boolean":
      if (["true", "1", "t", "T", "TRUE", "True"].includes(text)) return { value: true };
      return ["false", "0", "f", "F", "FALSE", "False"].includes(text) ? { value: false } : wrong();
    case "integer": {
      const value = Number(text);
      const inRange = (spec.min === undefined || value >= spec.min) && (spec.max === undefined || value <= spec.max);
      return /^[+-]?\d+$/.test(text) && Number.isSafeInteger(value) && inRange ? { value } : wrong();
    }
    case "duration": {
      const value = parseDurationMs(text);
      return value === undefined || value < 0 ? wrong() : { value };
    }
    case "size": {
      if (text === "") return { value: undefined };
      const bytes = parseSize(text);
      // Where there is a default for the empty text, 0 means that, too.
      if (bytes === 0 && spec.default === "") return { value: undefined };
      return bytes === undefined || bytes === 0 ? wrong() : { value: Math.min(bytes, largestBytes) };
    }
  }
}
