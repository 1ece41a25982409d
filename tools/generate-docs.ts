/**
 * Writes what is told by code in other words: apps/epp/docs/errors.md from the problem catalog, the JSON Schema of
 * configurations, and the plugin table of the root README. With `--check`, exits 1 when something is out of date.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { configJsonSchema, renderProblemCatalog } from "@pointsman/config";
import { type AnyPluginDefinition, isPluginDefinition, withVariants } from "@pointsman/core";
import { withTable } from "./readme-params.ts";
import { pluginPackages, root } from "./workspace-packages.ts";

const check = process.argv.includes("--check");
const stale: string[] = [];

function put(file: string, content: string): void {
  let current: string | undefined;
  try {
    current = readFileSync(join(root, file), "utf8");
  } catch {
    // A missing file is out of date.
  }
  if (current === content) return;
  stale.push(file);
  if (check) return;
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), content);
}

const definitions: { definition: AnyPluginDefinition; folder: string }[] = [];
for (const { directory } of pluginPackages()) {
  const loaded: unknown = (await import(join(directory, "src/index.ts"))).default;
  if (!isPluginDefinition(loaded)) continue;
  for (const definition of withVariants(loaded)) definitions.push({ definition, folder: relative(root, directory) });
}
definitions.sort((a, b) =>
  a.definition.kind === b.definition.kind
    ? a.definition.type.localeCompare(b.definition.type)
    : a.definition.kind.localeCompare(b.definition.kind),
);

put("apps/epp/docs/errors.md", `${renderProblemCatalog().trimEnd()}\n`);
put(
  "apps/epp/schema/endpoint-picker-config.schema.json",
  `${JSON.stringify(configJsonSchema(definitions.map(({ definition }) => definition)), null, 2)}\n`,
);

const cells = [
  ["Type", "Kind", ""],
  ...definitions.map(({ definition, folder }) => [
    `[\`${definition.type}\`](${folder})`,
    definition.kind,
    definition.summary.replaceAll("|", "\\|"),
  ]),
];
// As the formatter lays tables out, so that both agree.
const widths = [0, 1, 2].map((column) => Math.max(3, ...cells.map((row) => row[column]!.length)));
const line = (row: readonly string[]): string => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
const table = [line(cells[0]!), line(widths.map((width) => "-".repeat(width))), ...cells.slice(1).map(line)].join("\n");
const readme = readFileSync(join(root, "README.md"), "utf8");
put("README.md", withTable(readme, `\n${table}\n`, "plugins"));

if (stale.length > 0) {
  console.log(`${check ? "out of date" : "written"}: ${stale.join(", ")}`);
  if (check) process.exitCode = 1;
}
