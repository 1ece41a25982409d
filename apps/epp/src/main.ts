#!/usr/bin/env node
import { commands, defaultCommand } from "./cli/commands.ts";
import { complain, exitCode, onOutputError } from "./cli/output.ts";
import { tuneGarbageCollector } from "./process/tune-garbage-collector.ts";

tuneGarbageCollector();
process.stdout.on("error", onOutputError);
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
  const { nearestName } = await import("@pointsman/core");
  const nearest = nearestName(name, commands.keys());
  complain(
    `epp: unknown command ${JSON.stringify(name)}${nearest === undefined ? "." : `; did you mean ${nearest}?`} See --help for all commands.`,
  );
  process.exitCode = exitCode.badInput;
} else process.exitCode = await command.run(named === undefined ? args : args.slice(1));
