import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parameterRows, parametersTable } from "../packages/testkit/src/params-table.ts";
import { newPluginKinds } from "./new-plugin-kinds.ts";
import { newPackageFiles } from "./new-plugin-package.ts";
import { readNewPluginCommand } from "./new-plugin-request.ts";
import { withTable } from "./readme-params.ts";
import { root } from "./workspace-packages.ts";

const outside = mkdtempSync(join(tmpdir(), "new-plugin-"));
afterAll(() => rmSync(outside, { recursive: true, force: true }));
writeFileSync(join(outside, "file"), "");
symlinkSync(root, join(outside, "link"));

const kinds = Object.keys(newPluginKinds);

test.each([
  [[], "a kind and a name are needed"],
  [["scorer"], "a kind and a name are needed"],
  [["scorr", "my-scorer"], '"scorr" is no kind of plugin. Nearest: scorer. Kinds: filter, scorer,'],
  [["constructor", "my-scorer"], "is no kind of plugin"],
  [["scorer", "My-scorer"], "is no name of a plugin"],
  [["scorer", "../my-scorer"], "is no name of a plugin"],
  [["scorer", "@acme/my-scorer"], "a scope goes into --scope"],
  [["scorer", "my--scorer"], "is no name of a plugin"],
  [["scorer", "9-scorer"], "is no name of a plugin"],
  [["scorer", `${"a".repeat(60)}-scorer`], "at most 64 characters"],
  [["scorer", "my-filter"], "ends in -scorer: for instance my-signal-scorer"],
  [["scorer", "scorer"], "ends in -scorer"],
  [["response-processor", "my-thing"], "ends in -response-processor or -reporter or -verifier"],
  [["scorer", "my-scorer", "other-scorer"], 'one plugin at a time: "other-scorer" is too much'],
  [["scorer", "my-scorer", "--frob"], "--frob"],
  [["scorer", "queue-scorer"], "packages/scorers/queue-scorer exists"],
  [["decider", "always-disagg-pd-decider"], "packages/deciders/always-disagg-pd-decider exists"],
  [["scorer", "my-scorer", "--scope", "@acme"], "give --out DIR"],
  [["scorer", "my-scorer", "--out", join(outside, "new")], "--out needs --scope"],
  [["scorer", "my-scorer", "--out", join(outside, "new"), "--scope", "acme"], '"acme" is no npm scope'],
  [["scorer", "my-scorer", "--out", join(outside, "new"), "--scope", "@pointsman"], "the scope of this workspace"],
  [["scorer", "my-scorer", "--out", outside, "--scope", "@acme"], "exists; name a new folder"],
  [["scorer", "my-scorer", "--out", join(outside, "file"), "--scope", "@acme"], "exists; name a new folder"],
  [["scorer", "my-scorer", "--out", join(root, "x/y"), "--scope", "@acme"], "is inside this workspace"],
  [["scorer", "my-scorer", "--out", join(outside, "link/x"), "--scope", "@acme"], "is inside this workspace"],
  [["scorer", "my-scorer", "--register"], "--register takes no kind and no name"],
])("%j is refused: %s", (args, text) => {
  const command = readNewPluginCommand(args);
  expect("problem" in command ? command.problem : command).toContain(text);
});

test.each(kinds)("a %s is accepted, in the folder of its kind", (kind) => {
  const { folder, endings } = newPluginKinds[kind]!;
  for (const ending of endings) {
    const name = `never-seen${ending}`;
    expect(readNewPluginCommand([kind, name])).toEqual({
      run: "write",
      request: { kind, name, directory: join(root, "packages", folder, name), scope: undefined, register: true },
    });
  }
});

test("a package that stands alone is accepted outside the workspace", () => {
  const directory = join(outside, "deep/new");
  expect(readNewPluginCommand(["scorer", "queue-scorer", "--out", directory, "--scope", "@acme"])).toEqual({
    run: "write",
    request: { kind: "scorer", name: "queue-scorer", directory, scope: "@acme", register: false },
  });
});

test("the workspace's packages lie in the folders that pnpm knows", () => {
  const workspace = readFileSync(join(root, "pnpm-workspace.yaml"), "utf8");
  for (const { folder } of Object.values(newPluginKinds)) expect(workspace).toContain(`  - packages/${folder}/*\n`);
});

test.each(kinds)("nothing of the example's name is left in a new %s, in any spelling", (kind) => {
  for (const scope of [undefined, "@acme"]) {
    for (const [path, text] of newPackageFiles({
      kind,
      name: `gpu-9-heat${newPluginKinds[kind]!.endings[0]}`,
      scope,
    })) {
      expect(`${path}\n${text}`).not.toMatch(/example/i);
    }
  }
});

test.each(kinds)("a %s that stands alone goes by its package name and refers to nothing of the workspace", (kind) => {
  const name = `gpu-heat${newPluginKinds[kind]!.endings[0]}`;
  const files = newPackageFiles({ kind, name, scope: "@acme" });
  const manifest = JSON.parse(files.get("package.json")!) as Record<string, unknown>;
  expect(manifest).toMatchObject({ name: `@acme/${name}`, pointsman: { types: [`@acme/${name}`] } });
  expect(files.get(`src/${name}.ts`)).toContain(`type: "@acme/${name}"`);
  expect(files.get("README.md")).toContain(`type: "@acme/${name}"`);
  for (const [path, text] of files)
    expect(text, path).not.toMatch(/workspace:|catalog:|tsconfig\.base|@pointsman\/gpu/);
});

test.each(kinds)("the parameters table of a new %s is the generated one", async (kind) => {
  const folder = join(root, "tools/new-plugin-templates", kind);
  const module = (await import(join(folder, "src/index.ts"))) as {
    readonly default: {
      readonly kind: string;
      readonly params?: { readonly "~standard": { readonly jsonSchema: { input(options: object): object } } };
    };
  };
  expect(module.default.kind).toBe(kind);
  const readme = readFileSync(join(folder, "README.md"), "utf8");
  const { params } = module.default;
  if (params === undefined) expect(readme).toContain("## Parameters\n\nNone.\n");
  else {
    const schema = params["~standard"].jsonSchema.input({ target: "draft-2020-12" });
    // A JSON Schema of an object.
    const table = parametersTable(parameterRows(schema as Record<string, unknown>));
    expect(withTable(readme, table)).toBe(readme);
  }
});
