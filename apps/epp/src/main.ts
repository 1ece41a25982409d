#!/usr/bin/env node
import { type Command, commands } from "./cli/commands.ts";
import { onOutputError } from "./cli/output.ts";

process.stdout.on("error", onOutputError);
const [first, ...rest] = process.argv.slice(2);
// `serve` is the default, so that the Go picker's command lines work as they are.
const named: Command | undefined = first === undefined ? undefined : commands.get(first);
const command = named ?? commands.get("serve")!;
process.exitCode = await command.run(named === undefined ? process.argv.slice(2) : rest);
