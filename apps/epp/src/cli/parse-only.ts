import type { FlagSpec } from "../flags/flag-table.ts";
import { type ParsedFlags, parseFlags } from "../flags/parse-flags.ts";
import { complain } from "./output.ts";

/** Parses the flags of a command that takes no other arguments; complains and gives `undefined` when they are wrong. */
export function parseOnly(
  command: string,
  args: readonly string[],
  table: readonly FlagSpec[],
): ParsedFlags | undefined {
  const flags = parseFlags(args, table);
  const problems =
    "problems" in flags
      ? flags.problems
      : flags.positional.map((argument) => `unexpected argument ${JSON.stringify(argument)}`);
  for (const problem of problems) complain(`epp ${command}: ${problem}`);
  return "problems" in flags || problems.length > 0 ? undefined : flags;
}
