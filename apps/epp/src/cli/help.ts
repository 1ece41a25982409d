import { flagTable } from "../flags/flag-table.ts";
import { type Command, commands } from "./commands.ts";
import { exitCode, print } from "./output.ts";

export const helpCommand: Command = {
  async run() {
    const names = [...commands].filter(([name]) => !name.startsWith("-"));
    print("Usage: epp [command] [flags]\n\nCommands (serve when none is given):");
    for (const [name, command] of names) print(`  ${name.padEnd(14)} ${command.summary}`);
    print("\nFlags of serve:");
    for (const flag of flagTable) {
      if (flag.status === "removed" || flag.name.startsWith("zap-")) continue;
      const name = flag.short === undefined ? `    --${flag.name}` : `-${flag.short}, --${flag.name}`;
      const shown = flag.default === "" ? "" : ` (default ${flag.default})`;
      const note = flag.status === undefined ? "" : ` [${flag.status}: ${flag.note}]`;
      print(`  ${name.padEnd(42)} ${flag.help}${shown}${note}`);
    }
    return exitCode.ok;
  },
};
