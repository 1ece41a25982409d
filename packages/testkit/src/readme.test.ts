import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const testkit = fileURLToPath(new URL("..", import.meta.url));
const root = join(testkit, "../..");
const readme = readFileSync(join(testkit, "README.md"), "utf8");
const index = readFileSync(join(testkit, "src/index.ts"), "utf8");

const examples = [...readme.matchAll(/^```ts (\S+)\n([\s\S]*?)^```$/gm)].map(([, file, text]) => ({
  file: file!,
  text: text!,
}));
const typeNames: string[] = [];
const valueNames: string[] = [];
for (const [, type, names] of index.matchAll(/export (type )?\{([^}]*)\}/g)) {
  for (const each of names!.split(",").map((name) => name.trim())) {
    if (each === "") continue;
    const isType = type !== undefined || each.startsWith("type ");
    (isType ? typeNames : valueNames).push(each.replace(/^type /, ""));
  }
}

// The package of an author: what it needs stands in its node_modules.
const author = mkdtempSync(join(realpathSync(tmpdir()), "testkit-readme-"));
afterAll(() => rmSync(author, { recursive: true, force: true }));
const link = (name: string, folder: string): void => {
  mkdirSync(dirname(join(author, "node_modules", name)), { recursive: true });
  symlinkSync(folder, join(author, "node_modules", name));
};
link("@pointsman/core", join(root, "packages/core"));
link("@pointsman/testkit", testkit);
link("fast-check", realpathSync(join(testkit, "node_modules/fast-check")));
link("vitest", realpathSync(join(testkit, "node_modules/vitest")));
link("@types/node", realpathSync(join(root, "node_modules/@types/node")));
writeFileSync(
  join(author, "package.json"),
  JSON.stringify({ name: "short-queue-scorer", type: "module", pointsman: { types: ["short-queue-scorer"] } }),
);
writeFileSync(join(author, "README.md"), "plugins:\n  - type: short-queue-scorer\n");
for (const { file, text } of examples) writeFileSync(join(author, file), text);

test("every function and class that the package exports stands in an example", () => {
  expect(valueNames.length).toBeGreaterThan(30);
  const code = examples.map(({ text }) => text).join("\n");
  expect(valueNames.filter((name) => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
});

test("every type that the package exports is named", () => {
  expect(typeNames.length).toBeGreaterThan(15);
  expect(typeNames.filter((name) => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([]);
});

test("the examples pass the type check", { timeout: 240_000 }, () => {
  const config = {
    extends: join(root, "tsconfig.base.json"),
    compilerOptions: {
      composite: false,
      noEmit: true,
      isolatedDeclarations: false,
      declarationMap: false,
      sourceMap: false,
      rootDir: "/",
      tsBuildInfoFile: null,
      types: ["node"],
    },
    include: ["*.ts"],
    exclude: [],
  };
  writeFileSync(join(author, "tsconfig.json"), JSON.stringify(config));
  const check = (): string => {
    try {
      return execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", author], { encoding: "utf8" });
    } catch (thrown: unknown) {
      // The compiler prints what is wrong.
      return String((thrown as { readonly stdout?: unknown }).stdout ?? thrown);
    }
  };
  expect(check()).toBe("");
});

const tests = examples.filter(({ file }) => file.endsWith(".test.ts"));
// What an example registers runs here, under its name.
for (const { file } of tests) {
  describe(file, async () => {
    await import(/* @vite-ignore */ join(author, file));
  });
}
