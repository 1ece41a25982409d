import { isPluginDefinition } from "@pointsman/core";
import type { FlagSpec } from "../flags/flag-table.ts";
import { builtinPlugins } from "../registry/builtins.gen.ts";
import { PluginRegistry } from "../registry/plugin-registry.ts";
import type { Command } from "./commands.ts";
import { exitCode, print } from "./output.ts";
import { parseOnly } from "./parse-only.ts";

const pluginsFlags = [
  { name: "json", kind: "boolean", default: "false", help: "Print JSON." },
] as const satisfies readonly FlagSpec[];

export const pluginsCommand: Command = {
  flags: pluginsFlags,
  async run(args) {
    const flags = parseOnly("plugins", args, pluginsFlags);
    if (flags === undefined) return exitCode.badInput;
    const registry = new PluginRegistry(process.cwd());
    const rows: { type: string; kind: string; stability: string; installed: boolean; summary: string }[] = [];
    for (const { type, packageName } of builtinPlugins) {
      const definition = await registry.resolve(type);
      rows.push(
        isPluginDefinition(definition)
          ? {
              type,
              kind: definition.kind,
              stability: definition.stability,
              installed: true,
              summary: definition.summary,
            }
          : {
              type,
              kind: "",
              stability: "",
              installed: false,
              summary: `${definition.message} (npm install ${packageName})`,
            },
      );
    }
    if (flags.values.get("json") === true) {
      print(JSON.stringify(rows, null, 2));
      return exitCode.ok;
    }
    const width = Math.max(...rows.map((row) => row.type.length));
    for (const row of rows) {
      const what = row.installed ? `${row.kind}, ${row.stability}` : "not installed";
      print(`${row.type.padEnd(width)}  ${what.padEnd(26)}  ${row.summary}`);
    }
    return exitCode.ok;
  },
};
