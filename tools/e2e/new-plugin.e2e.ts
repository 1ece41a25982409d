import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { newPluginKinds } from "../new-plugin-kinds.ts";
import { WorkspaceCopy } from "./workspace-copy.ts";

// Each case starts compilers and test runners, which takes minutes on a busy machine.
vi.setConfig({ testTimeout: 900_000, hookTimeout: 900_000 });

let copy: WorkspaceCopy;
beforeAll(() => {
  copy = new WorkspaceCopy();
});
afterAll(() => copy.remove());

/** Runs a program in the copy. */
function run(command: string, ...args: readonly string[]): { readonly code: number | null; readonly said: string } {
  const options = { cwd: copy.directory, env: copy.environment, encoding: "utf8" } as const;
  const { status, stdout, stderr } = spawnSync(command, args, options);
  return { code: status, said: `${stdout}${stderr}` };
}

function mustRun(command: string, ...args: readonly string[]): string {
  const { code, said } = run(command, ...args);
  expect(code, `${command} ${args.join(" ")}:\n${said}`).toBe(0);
  return said;
}

const read = (path: string): string => readFileSync(join(copy.directory, path), "utf8");

test("the commands of the guide run, its files pass their tests, and the configuration uses the new scorer", () => {
  const guide = read("apps/epp/docs/write-a-scorer.md");
  const said: string[] = [];
  let files = 0;
  for (const [, , language, file, text] of guide.matchAll(/^(`{3,4})(\w+)(?: (\S+))?\n([\s\S]*?)^\1$/gm)) {
    if (language === "sh") {
      said.push(mustRun("sh", "-e", "-c", text!));
    } else if (file !== undefined) {
      mkdirSync(dirname(join(copy.directory, file)), { recursive: true });
      writeFileSync(join(copy.directory, file), text!);
      files++;
    }
  }
  expect(files).toBe(5);
  expect(said).toHaveLength(4);
  const [generated, tested, used, alone] = said;
  expect(generated).toContain("packages/scorers/gpu-temperature-scorer: ");
  expect(tested).toMatch(/Tests +\d+ passed/);
  expect(used).toContain("ok (0 errors, 0 warnings)");
  expect(used).toMatch(/^gpu-temperature-scorer +scorer, beta +1 = cool GPU, 0 = hot GPU\.$/m);
  expect(alone).toContain("the package @acme/gpu-temperature-scorer");
  expect(read("packages/scorers/gpu-temperature-scorer/README.md")).toMatch(/\| `coolCelsius` +\| number .*`40`/);
  expect(read("README.md")).toMatch(
    /^\| \[`gpu-temperature-scorer`\]\(packages\/scorers\/gpu-temperature-scorer\) +\| scorer +\|/m,
  );
  expect(existsSync(join(copy.directory, "../gpu-temperature-scorer/package.json"))).toBe(true);
});

test("a generated plugin of every kind builds, passes its tests and the linter, and its README's configuration loads", () => {
  const made = Object.entries(newPluginKinds).map(([kind, { folder, endings }]) => {
    const name = `a-sample-9-of${endings[0]}`;
    expect(mustRun("tools/new-plugin", kind, name, "--no-register")).toContain("not registered");
    return { name, folder: `packages/${folder}/${name}` };
  });
  const folders = made.map(({ folder }) => folder);
  mustRun("tools/new-plugin", "--register");
  mustRun("tsc", "-b", ...folders);
  for (const folder of folders) expect(existsSync(join(copy.directory, folder, "dist/index.js")), folder).toBe(true);
  const tested = mustRun("vitest", "run", "--config=tools/vitest/vitest.config.ts", "--root=.", "a-sample-9-of-");
  expect(tested).toMatch(new RegExp(`Test Files +${made.length} passed`));
  mustRun("biome", "check", "--error-on-warnings", ...folders);
  const conditions = "--conditions=@pointsman/source";
  mustRun("node", conditions, "tools/boundaries.ts");
  mustRun("node", conditions, "tools/generate.ts", "--check");
  for (const { name, folder } of made) {
    const [, yaml] = /```yaml\n([\s\S]*?)```/.exec(read(join(folder, "README.md"))) ?? [];
    writeFileSync(join(copy.directory, "epp.yaml"), yaml!);
    expect(mustRun("apps/epp/bin/epp", "check", "epp.yaml"), name).toContain("ok (0 errors, 0 warnings)");
  }
  const listed = mustRun("apps/epp/bin/epp", "plugins");
  for (const { name } of made) expect(listed).toMatch(new RegExp(`^${name} `, "m"));
});

test("a package that exists is refused, and stays as it is", () => {
  const path = "packages/scorers/queue-scorer/src/queue-scorer.ts";
  const before = read(path);
  const { code, said } = run("tools/new-plugin", "scorer", "queue-scorer");
  expect(code).toBe(2);
  expect(said).toContain("packages/scorers/queue-scorer exists");
  expect(read(path)).toBe(before);
});

test("without an installed workspace, the script says what to run", () => {
  rmSync(join(copy.directory, "node_modules/.bin/node"));
  const { code, said } = run("tools/new-plugin", "scorer", "late-scorer");
  expect(code).toBe(1);
  expect(said).toContain("npx -y pnpm@12 install");
});
