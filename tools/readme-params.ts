// Writes the parameters table of each plugin's README between the markers below, from the plugin's own schema.
//
//   node --conditions=@pointsman/source tools/readme-params.ts           writes
//   node --conditions=@pointsman/source tools/readme-params.ts --check   names files that differ and exits 1
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parameterRows, parametersTable } from "../packages/testkit/src/params-table.ts";

const startMarker = "<!-- params:start -->";

type Properties = Readonly<Record<string, unknown>>;

/** Folders of the workspace's packages, from the globs of pnpm-workspace.yaml; a glob is a path or ends in `/*`. */
export function workspaceFolders(root: string): readonly string[] {
  const lines = readFileSync(join(root, "pnpm-workspace.yaml"), "utf8").split("\n");
  const folders: string[] = [];
  const first = lines.indexOf("packages:") + 1;
  for (let i = first; i < lines.length; i++) {
    const glob = /^\s+-\s+["']?([^"'\s]+)["']?\s*$/.exec(lines[i]!)?.[1];
    if (glob === undefined) break;
    if (!glob.endsWith("/*")) {
      folders.push(join(root, glob));
      continue;
    }
    const parent = join(root, glob.slice(0, -2));
    if (!existsSync(parent)) continue;
    for (const entry of readdirSync(parent, { withFileTypes: true })) {
      if (entry.isDirectory()) folders.push(join(parent, entry.name));
    }
  }
  return folders.filter((folder) => existsSync(join(folder, "package.json"))).sort();
}

/**
 * Puts a table between the markers of a README, `<!-- NAME:start -->` and `<!-- NAME:end -->`. Throws when the markers
 * are missing, doubled or in the wrong order.
 */
export function withTable(readme: string, table: string, name: string = "params"): string {
  const startMarker = `<!-- ${name}:start -->`;
  const endMarker = `<!-- ${name}:end -->`;
  const [before, afterStart, ...more] = readme.split(startMarker);
  const [, after, ...rest] = afterStart?.split(endMarker) ?? [];
  if (before === undefined || after === undefined || more.length > 0 || rest.length > 0 || before.includes(endMarker)) {
    throw new Error(`needs ${startMarker} and ${endMarker}, once and in this order`);
  }
  return `${before}${startMarker}\n${table}\n${endMarker}${after}`;
}

/** What the README of a plugin package should be; `undefined` where there is nothing to generate. */
async function expectedReadme(folder: string, readme: string): Promise<string | undefined> {
  const manifest = propertiesOf(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")));
  const { types } = propertiesOf(manifest["pointsman"]) as { readonly types?: unknown };
  if (types === undefined) return undefined;
  const module: unknown = await import(pathToFileURL(join(folder, "src/index.ts")).href);
  const definition = propertiesOf(propertiesOf(module)["default"]);
  const schema = jsonSchemaOf(definition["params"]);
  if (schema !== undefined) return withTable(readme, parametersTable(parameterRows(schema)));
  if (readme.includes(startMarker)) throw new Error(`has ${startMarker}, and the plugin has no parameters`);
  return undefined;
}

function jsonSchemaOf(params: unknown): Properties | undefined {
  if (params === undefined) return undefined;
  const standard = propertiesOf(propertiesOf(params)["~standard"]);
  const { input } = propertiesOf(standard["jsonSchema"]) as { readonly input?: unknown };
  if (typeof input !== "function") throw new Error("its parameter schema makes no JSON Schema");
  return propertiesOf(input({ target: "draft-2020-12" }));
}

function propertiesOf(value: unknown): Properties {
  // Whatever is no object has no properties.
  return typeof value === "object" && value !== null ? (value as Properties) : {};
}

/** Runs over all plugin packages below `root`. Returns the problems found, one a line. */
export async function updateReadmes(root: string, check: boolean): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const folder of workspaceFolders(root)) {
    const path = join(folder, "README.md");
    const name = relative(root, path);
    const readme = existsSync(path) ? readFileSync(path, "utf8") : "";
    try {
      const expected = await expectedReadme(folder, readme);
      if (expected === undefined || expected === readme) continue;
      if (check) problems.push(`${name}: the parameters table differs from the plugin's schema`);
      else writeFileSync(path, expected);
    } catch (thrown) {
      problems.push(`${name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  return problems;
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const check = process.argv.includes("--check");
  const problems = await updateReadmes(root, check);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) {
    if (check) console.error("Run `node --conditions=@pointsman/source tools/readme-params.ts` to write the tables.");
    process.exitCode = 1;
  }
}
