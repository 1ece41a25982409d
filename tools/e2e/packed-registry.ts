import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";

interface PackedManifest {
  readonly name: string;
  readonly version: string;
}

/** A package as it would be published. */
export interface PackedPackage {
  readonly manifest: PackedManifest;
  /** Paths in the tarball, without the folder `package`. */
  readonly files: readonly string[];
}

/** An npm registry on this machine that has the tarballs of one folder, and nothing else. */
export class PackedRegistry {
  /** By name. */
  readonly packages: ReadonlyMap<string, PackedPackage>;
  readonly #folder: string;
  readonly #fileOf = new Map<string, string>();
  readonly #server: Server;

  private constructor(folder: string) {
    this.#folder = folder;
    const packages = new Map<string, PackedPackage>();
    for (const file of readdirSync(folder)) {
      const tarball = join(folder, file);
      // What pnpm packed has a name and a version.
      const manifest = JSON.parse(
        execFileSync("tar", ["-xzOf", tarball, "package/package.json"], { encoding: "utf8" }),
      ) as PackedManifest;
      const listed = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
      packages.set(manifest.name, { manifest, files: listed.map((path) => path.replace(/^package\//, "")).sort() });
      this.#fileOf.set(manifest.name, file);
    }
    this.packages = packages;
    this.#server = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url ?? "/", "http://registry").pathname).slice(1);
      const tarball = [...this.#fileOf.values()].find((file) => path === `-/${file}`);
      const document = path.endsWith("/latest")
        ? this.#version(path.slice(0, -"/latest".length))
        : this.#document(path);
      if (tarball !== undefined) response.end(readFileSync(join(folder, tarball)));
      else if (document !== undefined) response.end(JSON.stringify(document));
      else response.writeHead(404).end("{}");
    });
  }

  /** Serves what `folder` holds, on a port of its own. */
  static start(folder: string): Promise<PackedRegistry> {
    const registry = new PackedRegistry(folder);
    return new Promise((resolve, reject) => {
      registry.#server.once("error", reject);
      registry.#server.listen(0, "127.0.0.1", () => resolve(registry));
    });
  }

  get url(): string {
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) throw new Error("the registry does not listen");
    return `http://127.0.0.1:${address.port}/`;
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** What npm asks a registry for first: all versions of a package. */
  #document(name: string): unknown {
    const version = this.#version(name);
    if (version === undefined) return undefined;
    return { name, "dist-tags": { latest: version.version }, versions: { [version.version]: version } };
  }

  #version(name: string): (PackedManifest & { readonly dist: unknown }) | undefined {
    const packed = this.packages.get(name);
    const file = this.#fileOf.get(name);
    if (packed === undefined || file === undefined) return undefined;
    const hash = createHash("sha512")
      .update(readFileSync(join(this.#folder, file)))
      .digest("base64");
    return { ...packed.manifest, dist: { tarball: `${this.url}-/${file}`, integrity: `sha512-${hash}` } };
  }
}
