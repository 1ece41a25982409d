import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { PackedRegistry } from "./packed-registry.ts";
import { parts } from "./parts.ts";
import { Running } from "./running.ts";
import { post } from "./stack.ts";
import { WorkspaceCopy } from "./workspace-copy.ts";

// Building and installing takes minutes on a busy machine.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 900_000 });

/** The oldest Node that the packages promise to run on. */
const oldestNode = "22.12.0";
/** The three that are chosen, and what serving with endpoints from a file takes. */
const chosen = ["queue-scorer", "max-score-picker", "openai-parser"];
const needed = ["single-profile-handler", "file-discovery", "metrics-data-source", "core-metrics-extractor"];

const config = `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: queue-scorer
  - type: max-score-picker
  - type: openai-parser
  - type: file-discovery
    parameters:
      path: endpoints.yaml
requestHandler:
  parsers:
    - pluginRef: openai-parser
schedulingProfiles:
  - name: default
    plugins:
      - pluginRef: queue-scorer
      - pluginRef: max-score-picker
dataLayer:
  discovery:
    pluginRef: file-discovery
`;

const directory = mkdtempSync(join(tmpdir(), "pointsman-slim-"));
const slim = join(directory, "slim");
const running: Running[] = [];
let copy: WorkspaceCopy | undefined;
let registry: PackedRegistry | undefined;
/** The machine's own variables, with the oldest Node first and nothing of this workspace. */
let environment: NodeJS.ProcessEnv = {};

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program in a folder outside the workspace; the registry goes on serving meanwhile. */
function run(folder: string, command: string, ...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: folder, env: environment, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
  });
}

const epp = (...args: readonly string[]): Promise<Outcome> => run(slim, "node_modules/.bin/epp", ...args);

/** An empty folder where packages of the scope come from the tarballs. */
function emptyFolder(folder: string): string {
  mkdirSync(folder, { recursive: true });
  useTarballs(folder);
  writeFileSync(join(folder, "package.json"), '{"private": true}\n');
  return folder;
}

function useTarballs(folder: string): void {
  writeFileSync(join(folder, ".npmrc"), `@pointsman:registry=${registry!.url}\n`);
}

async function npm(folder: string, ...args: readonly string[]): Promise<Outcome> {
  const outcome = await run(folder, "npm", ...args);
  expect(outcome.code, `npm ${args.join(" ")}:\n${outcome.out}${outcome.err}`).toBe(0);
  return outcome;
}

const quietly = ["--no-audit", "--no-fund", "--fetch-retries=1"];
const scoped = (types: readonly string[]): readonly string[] => types.map((type) => `@pointsman/${type}`);

beforeAll(async () => {
  copy = new WorkspaceCopy();
  copy.run("tsc", ["-b", "tools/tsconfig.solution.json"]);
  const tarballs = join(directory, "tarballs");
  mkdirSync(tarballs);
  copy.run("npx", [
    ...["-y", "pnpm@12", "--recursive", "--filter=./apps/epp", "--filter=./packages/**"],
    ...["pack", "--pack-destination", tarballs],
  ]);
  registry = await PackedRegistry.start(tarballs);

  const machine = { ...process.env, NO_COLOR: "1", npm_config_update_notifier: "false" };
  for (const name of Object.keys(machine)) {
    // Where the runner finds modules, and what pnpm tells its scripts.
    if (/^(NODE_PATH|NODE_OPTIONS|VITEST.*|npm_config_.*registry|npm_(package|lifecycle)_.*)$/.test(name)) {
      delete machine[name as keyof typeof machine];
    }
  }
  const outside = (process.env["PATH"] ?? "").split(delimiter).filter((path) => !path.includes("node_modules"));
  environment = { ...machine, PATH: outside.join(delimiter) };
  const runtime = emptyFolder(join(directory, "runtime"));
  await npm(runtime, "install", ...quietly, `node@${oldestNode}`);
  environment["PATH"] = [join(runtime, "node_modules/node/bin"), ...outside].join(delimiter);

  emptyFolder(slim);
  await npm(slim, "install", "--omit=optional", ...quietly, "@pointsman/epp", ...scoped([...chosen, ...needed]));
  writeFileSync(join(slim, "epp.yaml"), config);
  writeFileSync(join(slim, "endpoints.yaml"), "endpoints: []\n");
});

afterAll(async () => {
  await Promise.all(running.map((each) => each.stop()));
  await registry?.stop();
  copy?.remove();
  rmSync(directory, { recursive: true, force: true });
});

test("tarballs hold what runs and its types, and no build state, maps, sources or tests", () => {
  expect(registry!.packages.size).toBeGreaterThan(50);
  // All that is wrong in one run: somebody adds a package every week.
  const problems = [...registry!.packages].flatMap(([name, { files }]) => [
    ...["LICENSE", "README.md", "package.json"]
      .filter((file) => !files.includes(file))
      .map((file) => `${name}: no ${file}`),
    ...(files.some((file) => /^dist\/.*\.js$/.test(file)) ? [] : [`${name}: no build in dist`]),
    ...files
      .filter((file) => /(^|\/)(src|test|bench)\/|\.(map|test\.|tsbuildinfo)|node_modules/.test(file))
      .slice(0, 3)
      .map((file) => `${name}: ${file} is published; "files" should be ["dist/**/*.js", "dist/**/*.d.ts"]`),
  ]);
  expect(problems).toEqual([]);
});

test("published packages name nothing of the workspace, and every file they name is in their tarball", () => {
  for (const [name, { manifest, files }] of registry!.packages) {
    const text = JSON.stringify({ ...manifest, scripts: undefined });
    expect(text, name).not.toMatch(/"(workspace|catalog|link|file):/);
    expect(text, name).not.toContain("@pointsman/source");
    const {
      bin = {},
      exports = {},
      engines,
    } = manifest as {
      readonly bin?: Record<string, string>;
      readonly exports?: Record<string, Record<string, string>>;
      readonly engines?: { readonly node: string };
    };
    expect(engines?.node, `engines of ${name}`).toMatch(/^>=22\.\d+$/);
    const targets = [...Object.values(bin), ...Object.values(exports).flatMap((entry) => Object.values(entry))];
    expect(targets.length, `${name} can be used`).toBeGreaterThan(0);
    for (const target of targets) expect(files, name).toContain(target.replace(/^\.\//, ""));
  }
});

test("without optional dependencies, only the chosen plugins are installed", () => {
  const installed = readdirSync(join(slim, "node_modules/@pointsman"));
  const plugins = installed.filter((name) => {
    const manifest = JSON.parse(readFileSync(join(slim, "node_modules/@pointsman", name, "package.json"), "utf8")) as {
      readonly pointsman?: unknown;
    };
    return manifest.pointsman !== undefined;
  });
  expect(plugins.sort()).toEqual([...chosen, ...needed].sort());
  // One copy of core: keys and errors are shared.
  const cores = execFileSync("find", [slim, "-path", "*@pointsman/core/package.json"], { encoding: "utf8" });
  expect(cores.trim().split("\n")).toHaveLength(1);
});

test("the program runs on the oldest Node that packages promise", async () => {
  const { out, err, code } = await epp("version");
  expect(out + err).toContain(`(node ${oldestNode})`);
  expect(code).toBe(0);
});

test("the configuration loads, and plugins that are not there are listed with their package", async () => {
  const checked = await epp("check", "epp.yaml");
  expect(checked.err).toContain("ok (0 errors, 1 warning)");
  // A default that is left out is said, with the package that has it.
  expect(checked.err).toContain("Install the npm package @pointsman/utilization-detector.");
  const { out } = await epp("plugins");
  expect(out).toMatch(/^queue-scorer +scorer, beta/m);
  expect(out).toMatch(/^prefix-cache-scorer +not installed .*npm install @pointsman\/prefix-cache-scorer/m);
});

test("it starts, and a request through the built-in proxy is answered by a model server", async () => {
  const sim = new Running("model-sim", parts.modelSim, ["--name", "slim-1", "--port", "0"]);
  running.push(sim);
  const { url } = await sim.json((line) => line["event"] === "listening");
  const { hostname, port } = new URL(String(url));
  writeFileSync(
    join(slim, "endpoints.yaml"),
    `endpoints:\n  - {name: slim-1, address: ${hostname}, port: "${port}"}\n`,
  );
  const picker = new Running(
    "epp",
    join(slim, "node_modules/.bin/epp"),
    [
      ...["--config-file", join(slim, "epp.yaml"), "--bind-address=127.0.0.1", "--secure-serving=false"],
      ...["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--http-proxy-port=0"],
    ],
    { ...environment, NODE_PATH: "" },
  );
  running.push(picker);
  const ready = await picker.json((line) => line["msg"] === "ready");
  const base = `http://127.0.0.1:${String(ready["proxy"])}`;
  const models = (await (await fetch(`${base}/v1/models`)).json()) as { readonly data: readonly { id: string }[] };
  const answer = await post(base, "/v1/chat/completions", {
    model: models.data[0]!.id,
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 5,
  });
  expect(answer.status, answer.text).toBe(200);
  expect(answer.server).toBe("slim-1");
  const explained = await epp("explain", "--address", `127.0.0.1:${String(ready["metrics"])}`);
  expect(explained.out).toContain("queue-scorer x1");
});

test("a type that is not installed is answered with the package to add, and adding it is enough", async () => {
  const file = "filtered.yaml";
  writeFileSync(
    join(slim, file),
    config
      .replace("plugins:\n", "plugins:\n  - type: prefill-filter\n")
      .replace(
        "      - pluginRef: queue-scorer\n",
        "      - pluginRef: prefill-filter\n      - pluginRef: queue-scorer\n",
      ),
  );
  const refused = await epp("check", file);
  expect(refused.code).toBe(2);
  expect(refused.err).toContain(`${file}:4:11 error EPP_CONFIG_NOT_INSTALLED`);
  expect(refused.err).toContain("Install the npm package @pointsman/prefill-filter.");
  const served = await epp("--config-file", file);
  expect(served.code).toBe(2);
  expect(served.err).toContain("Install the npm package @pointsman/prefill-filter.");

  await npm(slim, "install", "--omit=optional", ...quietly, "@pointsman/prefill-filter");
  expect((await epp("check", file)).err).toContain("ok (0 errors, ");
});

test("a misspelt type is answered with the nearest one and its package", async () => {
  writeFileSync(join(slim, "misspelt.yaml"), config.replaceAll("max-score-picker", "max-score-piker"));
  const { code, err } = await epp("check", "misspelt.yaml");
  expect(code).toBe(2);
  expect(err).toContain('Nearest: "max-score-picker" (npm package @pointsman/max-score-picker)');
});

test("with pnpm, whose packages see only what they name, the chosen plugins are found beside the configuration", async () => {
  const strict = emptyFolder(join(directory, "strict"));
  const add = ["-y", "pnpm@12", "add", "--no-optional", "--config.minimumReleaseAge=0", "--ignore-scripts"];
  const added = await run(strict, "npx", ...add, "@pointsman/epp", ...scoped([...chosen, ...needed]));
  expect(added.code, added.out + added.err).toBe(0);
  writeFileSync(join(strict, "epp.yaml"), config);
  writeFileSync(join(strict, "endpoints.yaml"), "endpoints: []\n");
  expect(existsSync(join(strict, "node_modules/@pointsman/core"))).toBe(false);
  const checked = await run(strict, "node_modules/.bin/epp", "check", "epp.yaml");
  expect(checked.err).toContain("ok (0 errors, ");
});

test("the example of a scorer in one file is installed as its README says, and used", async () => {
  const example = join(copy!.directory, "apps/epp/examples/custom-scorer");
  await npm(slim, "install", "--omit=optional", "--install-links", ...quietly, example);
  cpSync(join(slim, "node_modules/@acme/gpu-temperature-scorer/epp.yaml"), join(slim, "example.yaml"));
  const { code, err } = await epp("check", "example.yaml");
  expect(err).toContain("ok (0 errors, ");
  expect(code).toBe(0);
});

test("a package that stands alone is written, built, tested with the published testkit, and used", async () => {
  const alone = join(directory, "alone");
  copy!.run("tools/new-plugin", ["scorer", "idle-share-scorer", "--out", alone, "--scope", "@acme"]);
  useTarballs(alone);
  await npm(alone, "install", ...quietly);
  await npm(alone, "run", "build");
  const tested = await npm(alone, "test");
  expect(tested.out).toMatch(/Tests {2}\d+ passed/);
  const [tarball] = (await npm(alone, "pack", "--silent")).out.trim().split("\n");
  await npm(slim, "install", "--omit=optional", ...quietly, join(alone, tarball!));
  const own = config
    .replace("plugins:\n", 'plugins:\n  - type: "@acme/idle-share-scorer"\n')
    .replace("      - pluginRef: queue-scorer\n", '      - pluginRef: "@acme/idle-share-scorer"\n');
  writeFileSync(join(slim, "own.yaml"), own);
  const { code, err } = await epp("check", "own.yaml");
  expect(err).toContain("0 errors");
  expect(code).toBe(0);
});
