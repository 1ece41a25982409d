import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type AnyPluginDefinition,
  definePlugin,
  KV_CACHE_USAGE,
  type ParamsSchema,
  type PluginDefinition,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pluginChecks } from "./plugin-contract.ts";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plugin-contract-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const manifest = { name: "@pointsman/test-scorer", pointsman: { types: ["test-scorer"] } };
const readme = "# x\n\n| `limit` | integer | `3` | Limit. |\n\n```yaml\nplugins:\n  - type: test-scorer\n```\n";

interface Limit {
  readonly limit: number;
}

function paramsSchema(strict: boolean, description: string | undefined): ParamsSchema<Limit> {
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => {
        const unknown = Object.keys(value ?? {}).filter((name) => name !== "limit");
        return strict && unknown.length > 0
          ? { issues: [{ message: `unknown: ${unknown}` }] }
          : { value: { limit: 3 } };
      },
      jsonSchema: {
        input: () => ({ type: "object", properties: { limit: { type: "integer", default: 3, description } } }),
      },
    },
  };
}

const sound: PluginDefinition<Limit> = {
  type: "test-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "Scores in a test.",
  params: paramsSchema(true, "Limit."),
  consumes: () => ({ required: [WAITING_QUEUE_SIZE] }),
  create(_params, host) {
    host.endpointReader(WAITING_QUEUE_SIZE);
    return { score: () => {}, dumpState: () => ({ entries: [] }) };
  },
};

async function broken(
  changes: Partial<PluginDefinition<Limit>>,
  files: { readonly manifest?: unknown; readonly readme?: string } = {},
): Promise<readonly string[]> {
  writeFileSync(join(folder, "package.json"), JSON.stringify(files.manifest ?? manifest));
  writeFileSync(join(folder, "README.md"), files.readme ?? readme);
  const definition: AnyPluginDefinition = definePlugin({ ...sound, ...changes });
  const testFile = pathToFileURL(join(folder, "src", "test-scorer.test.ts")).href;
  const names: string[] = [];
  for (const { name, run } of pluginChecks(definition, { testFile })) {
    try {
      await run();
    } catch {
      names.push(name);
    }
  }
  return names;
}

test("holds for a sound plugin", async () => {
  expect(await broken({})).toEqual([]);
});

test("holds for a sound plugin outside the house scope", async () => {
  const outside = { name: "@acme/x-scorer", pointsman: { types: ["@acme/x-scorer"] } };
  expect(
    await broken(
      { type: "@acme/x-scorer" },
      { manifest: outside, readme: readme.replace("test-scorer", '"@acme/x-scorer"') },
    ),
  ).toEqual([]);
});

test.each<[string, Parameters<typeof broken>, string]>([
  [
    "a package of another name",
    [{}, { manifest: { ...manifest, name: "@pointsman/other" } }],
    "is a plugin named like its package and listed in it",
  ],
  [
    "a type missing in package.json",
    [{}, { manifest: { name: manifest.name } }],
    "is a plugin named like its package and listed in it",
  ],
  ["an alias equal to the type", [{ aliases: ["test-scorer"] }], "is a plugin named like its package and listed in it"],
  ["a summary of two lines", [{ summary: "One.\nTwo." }], "says in one line what it does"],
  ["a kind whose role it does not take", [{ kind: "picker" }], "takes the role of its kind"],
  [
    "a declared attribute it never asks for",
    [{ consumes: () => ({ required: [WAITING_QUEUE_SIZE], optional: [KV_CACHE_USAGE] }) }],
    "asks, when made, for exactly the attributes it declares",
  ],
  [
    "an attribute it asks for and does not declare",
    [{ consumes: () => ({}) }],
    "asks, when made, for exactly the attributes it declares",
  ],
  [
    "attributes asked for only when requests run",
    [{ create: (_params, host) => ({ score: () => void host.endpointReader(WAITING_QUEUE_SIZE) }) }],
    "cannot be made without its declarations",
  ],
  [
    "an interval that outlives it",
    [
      {
        create: (_params, host) => {
          host.endpointReader(WAITING_QUEUE_SIZE);
          setInterval(() => {}, 60_000);
          return { score: () => {} };
        },
      },
    ],
    "leaves no timer of its own behind when disposed of",
  ],
  [
    "state without bound",
    [
      {
        create: (_params, host) => {
          host.endpointReader(WAITING_QUEUE_SIZE);
          return { score: () => {}, dumpState: () => "x".repeat(100_000) };
        },
      },
    ],
    "dumps bounded state that JSON can carry",
  ],
  [
    "state that JSON loses",
    [
      {
        create: (_params, host) => {
          host.endpointReader(WAITING_QUEUE_SIZE);
          return { score: () => {}, dumpState: () => ({ share: Number.NaN }) };
        },
      },
    ],
    "dumps bounded state that JSON can carry",
  ],
  ["a README without its type", [{}, { readme: "`limit` 3" }], "has a README that shows its type in a configuration"],
  [
    "a README without a parameter",
    [{}, { readme: readme.replace("`limit`", "`max`") }],
    "has a README that documents every parameter with its default",
  ],
  [
    "a README with another default",
    [{}, { readme: readme.replace("`3`", "`4`") }],
    "has a README that documents every parameter with its default",
  ],
  ["unknown parameters that pass", [{ params: paramsSchema(false, "Limit.") }], "refuses parameters it does not know"],
  ["a parameter without description", [{ params: paramsSchema(true, undefined) }], "describes every parameter"],
])("fails for %s", async (_what, args, promise) => {
  expect(await broken(...args)).toContain(promise);
});

test("timers that a plugin stops when disposed of are no fault", async () => {
  const create: PluginDefinition<Limit>["create"] = (_params, host) => {
    host.endpointReader(WAITING_QUEUE_SIZE);
    const interval = setInterval(() => {}, 60_000);
    const timeout = setTimeout(() => {}, 60_000);
    return {
      score: () => {},
      dispose: () => {
        clearInterval(interval);
        clearTimeout(timeout);
      },
    };
  };
  expect(await broken({ create })).toEqual([]);
});
