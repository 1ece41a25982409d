import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Root folder of the workspace. */
export const root: string = dirname(dirname(fileURLToPath(import.meta.url)));

export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly pointsman?: { readonly types: readonly string[] };
}

export interface WorkspacePackage {
  readonly directory: string;
  readonly manifest: Manifest;
}

/** All packages of the workspace, in order of their folders. */
export function workspacePackages(): readonly WorkspacePackage[] {
  const patterns = ["apps/*/package.json", "packages/*/package.json", "packages/*/*/package.json"];
  return globSync(patterns, { cwd: root })
    .sort()
    .filter((file) => existsSync(join(root, file)))
    .map((file) => ({
      directory: join(root, dirname(file)),
      manifest: JSON.parse(readFileSync(join(root, file), "utf8")) as Manifest,
    }));
}

/** The packages that carry a plugin. */
export function pluginPackages(): readonly (WorkspacePackage & {
  readonly manifest: Manifest & { readonly pointsman: { readonly types: readonly string[] } };
})[] {
  return workspacePackages().flatMap(({ directory, manifest }) =>
    manifest.pointsman === undefined ? [] : [{ directory, manifest: { ...manifest, pointsman: manifest.pointsman } }],
  );
}
