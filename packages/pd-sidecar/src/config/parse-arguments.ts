import { nearestName } from "@pointsman/core";
import { type FlagSpec, flagTable } from "./flag-table.ts";

/** Texts of the flags that are given; of a list, of all its occurrences. */
export type GivenTexts = ReadonlyMap<string, readonly string[]>;

export interface ParsedArguments {
  readonly given: GivenTexts;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Reads `--name value` and `--name=value`; booleans need no value. All problems are collected. */
export function parseArguments(args: readonly string[], table: readonly FlagSpec[] = flagTable): ParsedArguments {
  const specs = new Map(table.map((spec) => [spec.name, spec]));
  const given = new Map<string, string[]>();
  const problems: string[] = [];
  const warnings: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const found = /^--([a-z0-9][a-z0-9-]*)(?:=([\s\S]*))?$/.exec(arg);
    const name = found?.[1];
    const spec = name === undefined ? undefined : specs.get(name);
    if (!arg.startsWith("-")) {
      problems.push(`unexpected argument ${JSON.stringify(arg.slice(0, 64))}. See --help.`);
      continue;
    }
    if (name === undefined || spec === undefined) {
      const near = nearestName(arg.replace(/^-+/, "").split("=", 1)[0]!, [...specs.keys()]);
      const shown = arg.slice(0, 64);
      problems.push(`unknown flag ${shown}${near === undefined ? "." : `; did you mean --${near}?`} See --help.`);
      continue;
    }
    let text = found?.[2];
    if (text === undefined) {
      if (spec.kind === "boolean") text = "true";
      else if (i + 1 < args.length) text = args[++i]!;
      else {
        problems.push(`flag --${name} needs a value`);
        continue;
      }
    }
    if (spec.removed !== undefined) problems.push(`flag --${name} was removed: ${spec.removed}`);
    if (spec.noEffect !== undefined) warnings.push(`flag --${name} has no effect: ${spec.noEffect}`);
    const before = given.get(name) ?? [];
    given.set(name, spec.kind === "list" ? [...before, text] : [text]);
  }
  return { given, problems, warnings };
}

/** One line per flag. */
export function flagHelp(table: readonly FlagSpec[] = flagTable): string {
  const rows = table
    .filter((spec) => spec.removed === undefined)
    .map((spec) => {
      const value = spec.default === "" ? "" : ` (default ${spec.default})`;
      return `  --${spec.name.padEnd(36)} ${spec.help}${value}`;
    });
  return `${rows.join("\n")}\n`;
}
