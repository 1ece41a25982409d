import { configJsonSchema } from "@pointsman/config";
import { isPluginDefinition } from "@pointsman/core";
import { builtinPlugins } from "../registry/builtins.gen.ts";
import { PluginRegistry } from "../registry/plugin-registry.ts";
import type { Command } from "./commands.ts";
import { exitCode, print } from "./output.ts";
import { parseOnly } from "./parse-only.ts";

export const schemaCommand: Command = {
  flags: [],
  async run(args) {
    if (parseOnly("schema", args, []) === undefined) return exitCode.badInput;
    const registry = new PluginRegistry(process.cwd());
    const resolved = await Promise.all(builtinPlugins.map(({ type }) => registry.resolve(type)));
    print(JSON.stringify(configJsonSchema(resolved.filter(isPluginDefinition)), null, 2));
    return exitCode.ok;
  },
};
