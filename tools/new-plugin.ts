/**
 * Writes the package of a new plugin and makes it known to the workspace; `--help` lists the arguments. Exit codes: 0,
 * 1 when something failed on the way, 2 for a wrong command line, in which case nothing is written.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { newPackageFiles } from "./new-plugin-package.ts";
import { registerPlugins } from "./new-plugin-register.ts";
import { type NewPluginRequest, newPluginUsage, readNewPluginCommand } from "./new-plugin-request.ts";
import { root } from "./workspace-packages.ts";

function write(request: NewPluginRequest): void {
  for (const [path, text] of newPackageFiles(request)) {
    const file = join(request.directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  // Names of another length break lines elsewhere.
  const format = ["check", "--write", `--config-path=${root}`, "--vcs-enabled=false", "--log-level=error", "."];
  const { status } = spawnSync(join(root, "node_modules/.bin/biome"), format, {
    cwd: request.directory,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`biome refuses what was written to ${request.directory}`);
}

/** Returns the exit code. */
function finish(failed: readonly string[]): number {
  if (failed.length === 0) return 0;
  console.error(`new-plugin: failed: ${failed.join("; ")}`);
  console.error("When the cause is gone, run: tools/new-plugin --register");
  return 1;
}

function run(args: readonly string[]): number {
  const command = readNewPluginCommand(args);
  if ("problem" in command) {
    console.error(`new-plugin: ${command.problem}`);
    console.error(args.length === 0 ? `\n${newPluginUsage}` : "See tools/new-plugin --help.");
    return 2;
  }
  if (command.run === "help") {
    console.log(newPluginUsage);
    return 0;
  }
  if (command.run === "register") return finish(registerPlugins());
  const { request } = command;
  write(request);
  if (request.scope !== undefined) {
    console.log(`${request.directory}: the package ${request.scope}/${request.name}, a plugin that works (${request.kind})

Next, in that folder:
  npm install    @pointsman/core, @pointsman/testkit and the tools
  npm test       the contract tests
  npm run build  what a picker loads
The README shows a configuration; the picker finds the package in the node_modules next to the configuration file.`);
    return 0;
  }
  const shown = relative(root, request.directory);
  console.log(`${shown}: a plugin that works (${request.kind})`);
  const code = request.register ? finish(registerPlugins()) : 0;
  if (!request.register) console.log("not registered: tools/new-plugin --register makes it known");
  else if (code === 0) console.log(`\nregistered; its tests: npx -y pnpm@12 test:unit ${shown}`);
  return code;
}

process.exitCode = run(process.argv.slice(2));
