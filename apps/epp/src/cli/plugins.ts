import { isPluginDefinition } from "@pointsman/core";
import { builtinPlugins } from "../registry/builtins.gen.ts";
import { PluginRegistry } from "../registry/plugin-registry.ts";
import type { Command } from "./commands.ts";
import { exitCode, print } from "./output.ts";

export const pluginsCommand: Command = {
  summary: "lists the plugins that can be named in a configuration, and which are installed: epp plugins [--json]",
  async run(args) {
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
    if (args.includes("--json")) {
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
