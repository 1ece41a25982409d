/**
 * Checks what packages may know of each other:
 * - imports of workspace packages are declared, go by name, and follow the arrows of the architecture;
 * - plugins know core only (and testkit in tests), core knows nobody and does no I/O;
 * - tsconfig references equal the workspace dependencies; with `--fix`, they are written.
 * Prints every violation and exits 1 if there is one.
 */
import { spawnSync } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { root, type WorkspacePackage, workspacePackages } from "./workspace-packages.ts";

const problems: string[] = [];
/** Files that `--fix` wrote, to be formatted like all others. */
const written: string[] = [];
const packages = workspacePackages();
const byName = new Map(packages.map((each) => [each.manifest.name, each]));

/** Libraries from the bottom up: a package may use those of lower levels. Plugins stand beside, on core. */
const levels: Readonly<Record<string, number>> = {
  "@pointsman/core": 0,
  "@pointsman/proto": 1,
  "@pointsman/grpc-transport": 1,
  "@pointsman/testkit": 1,
  "@pointsman/telemetry": 1,
  "@pointsman/tracing": 1,
  "@pointsman/datastore": 1,
  "@pointsman/config": 2,
  "@pointsman/metrics-scraper": 2,
  "@pointsman/ext-proc": 2,
  "@pointsman/http-proxy": 2,
  "@pointsman/kube": 2,
  "@pointsman/replay": 2,
  "@pointsman/pd-sidecar": 3,
  "@pointsman/model-sim": 3,
  "@pointsman/pd-coordinator": 4,
  "@pointsman/pd-sidecar-app": 4,
  "@pointsman/epp": 4,
  "@pointsman/pd-coordinator-app": 5,
};

/**
 * Plugins that stand on another plugin, which is loaded with them:
 * - messages of Vertex AI carry bodies of the OpenAI API;
 * - sources of HTTP pages share parameters, addresses and TLS files; lists of clusters are endpoints files.
 */
const pluginOnPlugin: Readonly<Record<string, string>> = {
  "@pointsman/vertexai-parser": "@pointsman/openai-parser",
  "@pointsman/dcgm-data-source": "@pointsman/metrics-data-source",
  "@pointsman/models-data-source": "@pointsman/metrics-data-source",
  "@pointsman/multicluster-metrics-data-source": "@pointsman/metrics-data-source",
  "@pointsman/multicluster-file-discovery": "@pointsman/file-discovery",
};

/** The root's tools, such as vitest, serve the tests of all packages. */
const rootDevDependencies = (
  JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  }
).devDependencies;

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const statements = text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;"'`]*?\bfrom\s+"([^"]+)"/g);
  const bare = text.matchAll(/(?:^|\n)\s*import\s+"([^"]+)"/g);
  const dynamic = text.matchAll(/\bimport\("([^"]+)"\)/g);
  return [...statements, ...bare, ...dynamic].map((match) => match[1]!);
}

const packageOf = (specifier: string): string =>
  specifier.startsWith("@") ? specifier.split("/").slice(0, 2).join("/") : specifier.split("/")[0]!;

function checkImport(each: WorkspacePackage, file: string, specifier: string): void {
  const { manifest, directory } = each;
  const shown = relative(root, file);
  const isTest = /\.(test|bench|fuzz)\.ts$/.test(file) || !file.startsWith(join(directory, "src"));
  if (specifier.startsWith(".")) {
    const target = resolve(dirname(file), specifier);
    // Benches share page generators; they are not shipped.
    const betweenBenches = file.includes("/bench/") && target.includes("/bench/");
    // By name this would be a cycle of packages: testkit stands on core, and core's tests use its builders.
    const coreTest = manifest.name === "@pointsman/core" && isTest && target.includes("/packages/testkit/src/");
    if (!target.startsWith(`${directory}/`) && !betweenBenches && !coreTest)
      problems.push(`${shown}: imports ${specifier}, a file of another package; import it by name`);
    return;
  }
  if (specifier.startsWith("node:")) {
    if (manifest.name === "@pointsman/core" && !isTest)
      problems.push(`${shown}: core does no I/O and imports ${specifier}`);
    return;
  }
  const name = packageOf(specifier);
  const shipped = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
  const declared = isTest ? { ...rootDevDependencies, ...shipped, ...manifest.devDependencies } : shipped;
  if (name !== manifest.name && !(name in declared))
    problems.push(`${shown}: imports ${name}, which package.json does not declare`);
  if (!byName.has(name) || isTest || name === manifest.name) return;
  if (manifest.pointsman !== undefined) {
    if (name !== "@pointsman/core" && name !== pluginOnPlugin[manifest.name])
      problems.push(`${shown}: a plugin imports ${name}; plugins know @pointsman/core only`);
    return;
  }
  const target = byName.get(name)!;
  if (target.manifest.pointsman !== undefined) {
    if (manifest.name !== "@pointsman/epp") problems.push(`${shown}: imports the plugin ${name}; only apps/epp does`);
    return;
  }
  const own = levels[manifest.name];
  const other = levels[name];
  if (own === undefined || other === undefined) {
    problems.push(`${shown}: ${own === undefined ? manifest.name : name} has no level in tools/boundaries.ts`);
  } else if (other >= own)
    problems.push(`${shown}: ${manifest.name} imports ${name}, which stands on the same level or above`);
}

function checkReferences(each: WorkspacePackage): void {
  const { manifest, directory } = each;
  const file = join(directory, "tsconfig.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as { references?: { path: string }[] };
  const used = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
  const wanted = Object.keys(used)
    .flatMap((name) => {
      const target = byName.get(name);
      return target === undefined ? [] : [relative(directory, target.directory)];
    })
    .sort();
  const actual = (config.references ?? []).map((reference) => reference.path).sort();
  if (JSON.stringify(wanted) === JSON.stringify(actual)) return;
  if (process.argv.includes("--fix")) {
    config.references = wanted.map((path) => ({ path }));
    if (wanted.length === 0) delete config.references;
    writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
    written.push(file);
  } else {
    problems.push(
      `${relative(root, file)}: references are not the workspace dependencies; run \`node tools/boundaries.ts --fix\``,
    );
  }
}

for (const each of packages) {
  const files = globSync(["{src,bench,test}/**/*.ts"], {
    cwd: each.directory,
    exclude: (name) => name === "node_modules" || name === "dist",
  });
  for (const file of files) {
    const path = join(each.directory, file);
    for (const specifier of importsOf(path)) checkImport(each, path, specifier);
  }
  checkReferences(each);
}

const solution = {
  files: [],
  references: packages.map((each) => ({ path: relative(join(root, "tools"), each.directory) })),
};
const solutionFile = join(root, "tools/tsconfig.solution.json");
const solutionText = `${JSON.stringify(solution, null, 2)}\n`;
let currentSolution = "";
try {
  currentSolution = readFileSync(solutionFile, "utf8");
} catch {
  // Written below.
}
if (currentSolution !== solutionText) {
  if (process.argv.includes("--fix")) writeFileSync(solutionFile, solutionText);
  else problems.push("tools/tsconfig.solution.json does not list all packages; run `node tools/boundaries.ts --fix`");
}

if (written.length > 0) {
  spawnSync(join(root, "node_modules/.bin/biome"), ["format", "--write", ...written], { cwd: root, stdio: "inherit" });
}
for (const problem of problems) console.error(problem);
console.log(`boundaries: ${packages.length} packages, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
