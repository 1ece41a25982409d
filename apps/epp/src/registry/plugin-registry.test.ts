import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatProblem, loadConfig } from "@pointsman/config";
import { isPluginDefinition, noMetrics, type PluginKind, silentLogger, systemClock } from "@pointsman/core";
import { FakeClock } from "@pointsman/testkit";
import { afterAll, expect, test } from "vitest";
import { type BuiltinPlugin, builtinPlugins } from "./builtins.gen.ts";
import { PluginRegistry } from "./plugin-registry.ts";

const directory = mkdtempSync(join(tmpdir(), "plugin-registry-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/**
 * The table of an installation without any plugin: loading fails as it does there. The packages have names of their own,
 * since the runner's NODE_PATH shows those of the workspace to every folder.
 */
const nothingInstalled: readonly BuiltinPlugin[] = builtinPlugins.map((builtin) => {
  const packageName = `${builtin.packageName}-absent`;
  return { ...builtin, packageName, load: () => Promise.reject(missing(packageName)) };
});

/** What Node says of a package that is in no node_modules. */
function missing(packageName: string): Error {
  return Object.assign(new Error(`Cannot find package '${packageName}' imported from builtins.gen.js`), {
    code: "ERR_MODULE_NOT_FOUND",
  });
}

async function problemsOf(type: string, builtins?: readonly BuiltinPlugin[]): Promise<string> {
  const { problems, graph } = await loadConfig(
    { text: `plugins:\n  - type: ${JSON.stringify(type)}\n`, file: "epp.yaml", baseDirectory: directory },
    {
      resolver: new PluginRegistry(directory, builtins),
      allowExperimental: true,
      environment: {
        logger: silentLogger,
        metrics: noMetrics,
        clock: systemClock,
        stalenessMs: 2000,
        random: () => 0,
        endpoints: () => [],
        timersFor: () => new FakeClock().timers,
      },
    },
  );
  await graph?.dispose();
  return problems.map(formatProblem).join("\n");
}

/** One type of each kind there is. */
const typeOfKind = new Map<PluginKind, BuiltinPlugin>();
for (const builtin of builtinPlugins) {
  const definition = await new PluginRegistry(directory).resolve(builtin.type);
  if (isPluginDefinition(definition) && !typeOfKind.has(definition.kind)) typeOfKind.set(definition.kind, builtin);
}

test("every kind with packages is among the in-tree plugins", () => {
  expect([...typeOfKind.keys()]).toEqual(
    expect.arrayContaining(["filter", "scorer", "screener", "admitter", "decider", "response-processor"]),
  );
});

test("a further type of a plugin has its own name and stability, and no former names", async () => {
  const further = await new PluginRegistry(directory).resolve("multicluster-prefix-cache-scorer");
  expect(further).toMatchObject({ type: "multicluster-prefix-cache-scorer", kind: "scorer", stability: "alpha" });
  expect(await new PluginRegistry(directory).resolve("prefix-cache-scorer")).toMatchObject({
    type: "prefix-cache-scorer",
    stability: "beta",
  });
});

test.each([...typeOfKind])(
  "a misspelt %s is answered with the nearest type and its package",
  async (_kind, builtin) => {
    const middle = Math.floor(builtin.type.length / 2);
    const misspelt = builtin.type.slice(0, middle) + builtin.type.slice(middle + 1);
    const text = await problemsOf(misspelt);
    expect(text).toContain(`has the unknown type "${misspelt}"`);
    expect(text).toContain(`Nearest: "${builtin.type}" (npm package ${builtin.packageName})`);
  },
);

test.each([...typeOfKind])("a %s that is not installed is answered with the package to add", async (_kind, builtin) => {
  const text = await problemsOf(builtin.type, nothingInstalled);
  expect(text).toContain(`type "${builtin.type}" is not installed`);
  expect(text).toContain(`Install the npm package ${builtin.packageName}-absent.`);
});

test("an outside package that is not there is named as the package to add", async () => {
  expect(await problemsOf("@acme/no-such-scorer")).toContain("Install the npm package @acme/no-such-scorer.");
});

test("an in-tree plugin that only the configuration's folder has is found there", async () => {
  const own = mkdtempSync(join(directory, "own-"));
  const folder = join(own, "node_modules/@pointsman/queue-scorer-absent");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", exports: "./index.js" }));
  writeFileSync(
    join(folder, "index.js"),
    'export default { type: "queue-scorer", kind: "scorer", stability: "beta", summary: "From here.", create: () => ({}) };',
  );
  const found = await new PluginRegistry(own, nothingInstalled).resolve("queue-scorer");
  expect(found).toMatchObject({ type: "queue-scorer", summary: "From here." });
  const elsewhere = mkdtempSync(join(directory, "empty-"));
  expect(await new PluginRegistry(elsewhere, nothingInstalled).resolve("queue-scorer")).toMatchObject({
    kind: "not-installed",
    packageName: "@pointsman/queue-scorer-absent",
  });
});

test("an in-tree plugin that fails to load is not looked for elsewhere", async () => {
  const broken = builtinPlugins.map((builtin) => ({ ...builtin, load: () => Promise.reject(new Error("syntax")) }));
  expect(await new PluginRegistry(directory, broken).resolve("queue-scorer")).toMatchObject({ kind: "broken" });
});
