import { type FlagSpec, flagTable } from "../flags/flag-table.ts";
import { type Command, commands } from "./commands.ts";
import { exitCode, print } from "./output.ts";
import { complainOfUnknownCommand } from "./unknown-command.ts";

export const helpCommand: Command = {
  async run([name]) {
    if (name !== undefined && !name.startsWith("-")) {
      const command = await commands.get(name)?.load();
      if (command === undefined) {
        complainOfUnknownCommand(name, commands.keys());
        return exitCode.badInput;
      }
      if (command.flags !== undefined) {
        printCommandHelp(name, command.flags);
        return exitCode.ok;
      }
    }
    const names = [...commands].filter(([name]) => !name.startsWith("-"));
    print("Usage: epp [command] [flags]\n\nCommands (serve when none is given):");
    for (const [name, command] of names) print(`  ${name.padEnd(14)} ${command.summary}`);
    print("\n`epp COMMAND --help` lists the flags of a command. Flags of serve:");
    // Those without a text are there for command lines of the Go picker.
    printFlags(flagTable.filter(({ help }) => help !== ""));
    return exitCode.ok;
  },
};

/** Prints what a command does and its flags. */
export function printCommandHelp(name: string, flags: readonly FlagSpec[]): void {
  print(`epp ${name}: ${commands.get(name)?.summary}${flags.length === 0 ? "" : "\n"}`);
  printFlags(flags);
}

function printFlags(flags: readonly FlagSpec[]): void {
  const names = flags.map(({ name, short }) => (short === undefined ? `    --${name}` : `-${short}, --${name}`));
  const width = Math.max(...names.map(({ length }) => length));
  for (const [i, { default: standard, help, status, note }] of flags.entries()) {
    // A boolean that is off needs no word; one that is on does.
    const shown = standard === "" || standard === "false" ? "" : ` (default ${standard})`;
    print(`  ${names[i]!.padEnd(width)}  ${help}${shown}${status === undefined ? "" : ` [${status}: ${note}]`}`);
  }
}
