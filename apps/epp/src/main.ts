#!/usr/bin/env node
import { commands, defaultCommand } from "./cli/commands.ts";
import { onOutputError } from "./cli/output.ts";
import { tuneGarbageCollector } from "./process/tune-garbage-collector.ts";

tuneGarbageCollector();
process.stdout.on("error", onOutputError);
const args = process.argv.slice(2);
const named = commands.get(args[0] ?? "");
const command = await (named ?? defaultCommand).load();
process.exitCode = await command.run(named === undefined ? args : args.slice(1));
