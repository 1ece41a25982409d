import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { newPluginKinds } from "./new-plugin-kinds.ts";
import { root } from "./workspace-packages.ts";

/** What of a request says how the package looks. */
export interface NewPackageOptions {
  readonly kind: string;
  readonly name: string;
  /** npm scope of a package that stands alone; absent for a package of this workspace. */
  readonly scope: string | undefined;
}

interface TemplateManifest {
  readonly description: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The files of a new package: text by path inside the package. */
export function newPackageFiles({ kind, name, scope }: NewPackageOptions): ReadonlyMap<string, string> {
  const template = join(root, "tools/new-plugin-templates", kind);
  const files = new Map<string, string>();
  // The template is ours: its manifest has this shape.
  const manifest = JSON.parse(readFileSync(join(template, "package.json"), "utf8")) as TemplateManifest;
  const packageJson = scope === undefined ? inTreeManifest(name, manifest) : aloneManifest(scope, name, manifest);
  files.set("package.json", `${JSON.stringify(packageJson, null, 2)}\n`);
  files.set(
    "tsconfig.json",
    `${JSON.stringify(scope === undefined ? inTreeTsconfig(kind) : aloneTsconfig, null, 2)}\n`,
  );
  if (scope !== undefined) files.set(".gitignore", "dist\nnode_modules\n");
  for (const path of readdirSync(template, { recursive: true, encoding: "utf8" }).sort()) {
    if (!/\.(ts|md)$/.test(path)) continue;
    const text = readFileSync(join(template, path), "utf8");
    files.set(path.replaceAll(`example-${kind}`, name), renamed(text, kind, name, scope));
  }
  return files;
}

/** The text of a template under the new name: as a word with dashes, in camel case, in Pascal case, in capitals. */
function renamed(text: string, kind: string, name: string, scope: string | undefined): string {
  const example = `example-${kind}`;
  const type = scope === undefined ? name : `${scope}/${name}`;
  return (
    text
      .replaceAll(`@pointsman/${example}`, scope === undefined ? `@pointsman/${name}` : type)
      .replaceAll(`"${example}"`, JSON.stringify(type))
      // In YAML, a word that begins with @ stands in quotes.
      .replaceAll(new RegExp(`^( *(?:- )?(?:type|pluginRef|prefill): )${example}$`, "gm"), (_line, before: string) =>
        scope === undefined ? `${before}${name}` : `${before}${JSON.stringify(type)}`,
      )
      .replaceAll(example, name)
      .replaceAll(camelCase(example), camelCase(name))
      .replaceAll(pascalCase(example), pascalCase(name))
      .replaceAll(capitals(example), capitals(name))
  );
}

const pascalCase = (name: string): string =>
  name.replaceAll(/(?:^|-)([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
const camelCase = (name: string): string => name.charAt(0) + pascalCase(name).slice(1);
const capitals = (name: string): string => name.replaceAll("-", "_").toUpperCase();

const published = {
  sideEffects: false,
  files: ["dist/**/*.js", "dist/**/*.d.ts"],
} as const;
const publishedExports = { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } } as const;

function inTreeManifest(name: string, { description, dependencies }: TemplateManifest): unknown {
  return {
    name: `@pointsman/${name}`,
    version: workspaceVersion(),
    description,
    keywords: ["pointsman", "pointsman-plugin"],
    license: "Apache-2.0",
    type: "module",
    engines: { node: ">=22.12" },
    ...published,
    pointsman: { types: [name] },
    exports: { ".": { "@pointsman/source": "./src/index.ts", ...publishedExports["."] } },
    publishConfig: { access: "public", exports: publishedExports },
    scripts: { build: "tsc -b" },
    ...(dependencies === undefined ? {} : { dependencies }),
    peerDependencies: { "@pointsman/core": "workspace:^" },
    devDependencies: {
      "@pointsman/core": "workspace:^",
      "@pointsman/testkit": "workspace:^",
      "fast-check": "catalog:",
    },
  };
}

function aloneManifest(scope: string, name: string, { description, dependencies = {} }: TemplateManifest): unknown {
  const version = `^${workspaceVersion()}`;
  const type = `${scope}/${name}`;
  return {
    name: type,
    version: "0.1.0",
    description,
    keywords: ["pointsman-plugin"],
    type: "module",
    engines: { node: ">=22.12" },
    ...published,
    pointsman: { types: [type] },
    exports: publishedExports,
    publishConfig: { access: "public" },
    scripts: { build: "tsc", test: "vitest run", prepack: "tsc" },
    dependencies: Object.fromEntries(Object.keys(dependencies).map((each) => [each, catalogRange(each)])),
    peerDependencies: { "@pointsman/core": version },
    devDependencies: {
      "@pointsman/core": version,
      "@pointsman/testkit": version,
      ...Object.fromEntries(
        ["@types/node", "fast-check", "typescript", "vitest"].map((each) => [each, catalogRange(each)]),
      ),
    },
  };
}

function inTreeTsconfig(kind: string): unknown {
  const folder = join(root, "packages", newPluginKinds[kind]!.folder, "any");
  return {
    extends: relative(folder, join(root, "tsconfig.base.json")),
    references: [{ path: relative(folder, join(root, "packages/core")) }],
  };
}

const aloneTsconfig = {
  compilerOptions: {
    module: "nodenext",
    target: "es2023",
    lib: ["es2023"],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    isolatedDeclarations: true,
    erasableSyntaxOnly: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
    declaration: true,
    rootDir: "src",
    outDir: "dist",
  },
  include: ["src"],
  exclude: ["src/**/*.test.ts"],
} as const;

/** The one version that all packages of this workspace have. */
function workspaceVersion(): string {
  const core = JSON.parse(readFileSync(join(root, "packages/core/package.json"), "utf8")) as {
    readonly version: string;
  };
  return core.version;
}

/** What an outside package asks for of a library whose version stands in the workspace's catalog. */
function catalogRange(library: string): string {
  const text = readFileSync(join(root, "pnpm-workspace.yaml"), "utf8");
  const line = text
    .split("\n")
    .find((each) => [`  ${library}:`, `  "${library}":`].some((key) => each.startsWith(key)));
  const version = line?.slice(line.lastIndexOf(":") + 1).trim();
  if (version === undefined || version === "") throw new Error(`pnpm-workspace.yaml has no version of ${library}`);
  return /^\d/.test(version) ? `^${version}` : version;
}
