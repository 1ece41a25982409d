import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pluginPackages, root } from "./workspace-packages.ts";

/** What makes new packages known, in this order. */
const steps: readonly (readonly [command: string, args: readonly string[]])[] = [
  ["npx", ["-y", "pnpm@12", "install", "--no-frozen-lockfile"]],
  [process.execPath, ["--conditions=@pointsman/source", "tools/generate-builtins.ts"]],
  [process.execPath, ["--conditions=@pointsman/source", "tools/boundaries.ts", "--fix"]],
  [process.execPath, ["--conditions=@pointsman/source", "tools/readme-params.ts"]],
  [process.execPath, ["--conditions=@pointsman/source", "tools/generate-docs.ts"]],
];

/**
 * Links all packages of the workspace and runs the generators, so that the registry finds every plugin. Returns the
 * commands that failed; their output says why.
 */
export function registerPlugins(): readonly string[] {
  listInEpp();
  const failed: string[] = [];
  for (const [command, args] of steps) {
    const shown = `${command === process.execPath ? "node" : command} ${args.join(" ")}`;
    console.log(`> ${shown}`);
    const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
    if (status === 0) continue;
    failed.push(shown);
    // Nothing of a package that is not linked can be loaded.
    if (command === "npx") break;
  }
  return failed;
}

/** Names every plugin package in apps/epp's package.json, so that one installation links all of them. */
function listInEpp(): void {
  const file = join(root, "apps/epp/package.json");
  const text = readFileSync(file, "utf8");
  const manifest = JSON.parse(text) as Record<string, unknown>;
  const names = pluginPackages().map(({ manifest: { name } }) => name);
  manifest["optionalDependencies"] = Object.fromEntries(names.sort().map((name) => [name, "workspace:^"]));
  const listed = `${JSON.stringify(manifest, null, 2)}\n`;
  if (listed !== text) writeFileSync(file, listed);
}
