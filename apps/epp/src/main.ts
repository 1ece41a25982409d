#!/usr/bin/env node
import { commands, defaultCommand } from "./cli/commands.ts";
import { exitCode, onOutputError } from "./cli/output.ts";
import { tuneV8 } from "./process/tune-v8.ts";

tuneV8();
for (const stream of [process.stdout, process.stderr]) stream.on("error", onOutputError);
const args = process.argv.slice(2);
const flags = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
const asksHelp = flags.some((arg) => arg === "--help" || arg === "-h");
const [name = ""] = args;
const named = commands.get(name);
const command = await (named ?? defaultCommand).load();
if (asksHelp) {
  const { helpCommand, printCommandHelp } = await import("./cli/help.ts");
  if (command.flags === undefined) process.exitCode = await helpCommand.run([]);
  else printCommandHelp(name, command.flags);
} else if (named === undefined && name !== "" && !name.startsWith("-")) {
  const { complainOfUnknownCommand } = await import("./cli/unknown-command.ts");
  complainOfUnknownCommand(name, commands.keys());
  process.exitCode = exitCode.badInput;
} else {
  const code = await command.run(named === undefined ? args : args.slice(1));
  // Unless the output could not be written.
  process.exitCode ||= code;
}
