import { adminFlags } from "../flags/admin-flags.ts";
import type { FlagSpec } from "../flags/flag-table.ts";
import { adminFailure, connectAdmin } from "./admin-client.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode, print } from "./output.ts";
import { parseOnly } from "./parse-only.ts";

const stateFlags: readonly FlagSpec[] = [
  ...adminFlags,
  { name: "plugin", kind: "string", default: "", help: "Only the plugin of this name." },
  { name: "json", kind: "boolean", default: "false", help: "Print JSON." },
];

export const stateCommand: Command = {
  flags: stateFlags,
  async run(args) {
    const flags = parseOnly("state", args, stateFlags);
    if (flags === undefined) return exitCode.badInput;
    const admin = connectAdmin(flags, process.env);
    if ("problems" in admin) {
      for (const problem of admin.problems) complain(`epp state: ${problem}`);
      return exitCode.badInput;
    }
    for (const warning of admin.warnings) complain(`epp state: ${warning}`);
    let answer: Awaited<ReturnType<typeof admin.client.getPluginStates>>;
    try {
      answer = await admin.client.getPluginStates({ name: String(flags.values.get("plugin")) }, { timeoutMs: 10_000 });
    } catch (thrown: unknown) {
      complain(`epp state: ${adminFailure(admin.url, thrown)}`);
      return exitCode.failed;
    }
    const plugins = answer.plugins.map(({ name, type, stateJson, message }) => ({
      name,
      type,
      ...(stateJson === undefined ? { message } : { state: JSON.parse(stateJson) as unknown }),
    }));
    if (flags.values.get("json") === true) print(JSON.stringify({ timestamp: answer.at, plugins }, null, 2));
    else print(plugins.map(renderState).join("\n"));
    return exitCode.ok;
  },
};

function renderState(plugin: {
  readonly name: string;
  readonly type: string;
  readonly state?: unknown;
  readonly message?: string;
}): string {
  const head = plugin.name === plugin.type ? plugin.name : `${plugin.name} (${plugin.type})`;
  if (plugin.message !== undefined) return `${head}: ${plugin.message}`;
  return `${head}:\n${JSON.stringify(plugin.state, null, 2).replace(/^/gm, "  ")}`;
}
