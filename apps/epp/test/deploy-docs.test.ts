import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { flagTable } from "../src/flags/flag-table.ts";

const app = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(app, path), "utf8");
const documents = ["docs/deploy.md", "docs/migration.md"].map((file) => ({ file, text: read(file) }));

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
}
const schema = JSON.parse(read("deploy/chart/pointsman/values.schema.json")) as Schema;
const values: unknown = parse(read("deploy/chart/pointsman/values.yaml"));

const commands = documents.flatMap(({ file, text }) =>
  [...text.matchAll(/^ *(bin\/epp .*)$/gm), ...text.matchAll(/`(bin\/epp [^`]*)`/g)].map(([, command = ""]) => ({
    file,
    command,
  })),
);
test.each(commands)(
  "$file: $command succeeds",
  ({ command }) => {
    const [program = "", ...args] = command.split(" ");
    // Throws when it does not exit with 0.
    execFileSync(join(app, program), args, { cwd: app, stdio: "pipe" });
  },
  60_000,
);

test.each(documents)("$file: files that are named exist", ({ file, text }) => {
  const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => join("docs", path));
  const paths = [...text.matchAll(/(?:^|[ `])((?:deploy|examples)\/[\w./-]+)/gm)].map(([, path = ""]) => path);
  const dockerfiles = [...text.matchAll(/-f (apps\/\S+)/g)].map(([, path = ""]) => join("../..", path));
  const named = [...links, ...paths, ...dockerfiles].map((path) => path.replace(/[./]+$/, ""));
  expect(named.length, file).toBeGreaterThan(2);
  expect(named.filter((path) => !path.includes("*") && !existsSync(join(app, path)))).toEqual([]);
});

test.each(documents)("$file: flags that are named exist", ({ text }) => {
  const known = new Set(flagTable.map(({ name }) => name));
  // Those of helm, kubectl and docker stand in commands only.
  const flags = [...text.matchAll(/`--([a-z][a-z-]+)[=`]/g)].map(([, name = ""]) => name);
  expect(flags.filter((name) => !known.has(name) && !["wait", "set"].includes(name))).toEqual([]);
});

test.each(documents)("$file: values that are set exist", ({ text }) => {
  const set = [...text.matchAll(/--set ([\w.-]+)=/g)].map(([, path = ""]) => path);
  const unknown = set.filter((path) => {
    let here: Schema | undefined = schema;
    for (const key of path.split(".")) {
      const more: boolean | Schema | undefined = here?.additionalProperties;
      here = here?.properties?.[key] ?? (typeof more === "object" ? more : undefined);
    }
    return here === undefined;
  });
  expect(unknown).toEqual([]);
});

test("every value has a place in the schema, and every place of the schema a value", () => {
  const problems: string[] = [];
  const compare = (given: unknown, { properties }: Schema, path: string): void => {
    if (properties === undefined || typeof given !== "object" || given === null) return;
    const keys = new Set([...Object.keys(given), ...Object.keys(properties)]);
    // A parent chart passes its `global` values; flags have defaults of their own.
    for (const key of path === "flags" ? [] : keys) {
      const here = path === "" ? key : `${path}.${key}`;
      if (here === "global" || /\.(limits|requests|claims)$/.test(here)) continue;
      if (!(key in given)) problems.push(`${here} has no value`);
      else if (properties[key] === undefined) problems.push(`${here} is not in the schema`);
      else compare((given as Readonly<Record<string, unknown>>)[key], properties[key], here);
    }
  };
  compare(values, schema, "");
  expect(problems).toEqual([]);
});

test("wherever the schema lists keys it refuses others", () => {
  const open: string[] = [];
  const walk = (here: Schema, path: string): void => {
    if (here.properties !== undefined && here.additionalProperties !== false) open.push(path);
    for (const [key, value] of Object.entries(here.properties ?? {})) walk(value, `${path}.${key}`);
    if (here.items !== undefined) walk(here.items, `${path}[]`);
    if (typeof here.additionalProperties === "object") walk(here.additionalProperties, `${path}.*`);
  };
  walk(schema, "");
  expect(open).toEqual([]);
});

test("the chart's `flags` are the picker's, without those that the chart sets and those that were removed", () => {
  const deployment = read("deploy/chart/pointsman/templates/deployment.yaml");
  const setByChart = [...deployment.matchAll(/--([a-z][a-z-]*)=/g)].map(([, name = ""]) => name);
  // They would name a configuration, endpoints or a kind of pool that the chart does not know.
  const elsewhere = ["config-text", "endpoints-file", "pool-group"];
  const offered = flagTable
    .filter(({ name, status }) => status !== "removed" && !setByChart.includes(name) && !elsewhere.includes(name))
    .map(({ name }) => name);
  expect(Object.keys(schema.properties?.["flags"]?.properties ?? {}).sort()).toEqual(offered.sort());
});

test("the chart gives rights to the Lease that the picker uses", () => {
  expect(read("deploy/chart/pointsman/templates/rbac.yaml")).toContain('printf "epp-%s-%s.llm-d.ai"');
});
