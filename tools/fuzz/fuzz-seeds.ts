import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Folder of the inputs that failed once, one folder a target. */
export const seedsFolder: string = join(import.meta.dirname, "seeds");

/** Inputs on which a target failed once, by file name. */
export function seedsOf(target: string, folder: string = seedsFolder): ReadonlyMap<string, Buffer> {
  let files: string[];
  try {
    files = readdirSync(join(folder, target)).sort();
  } catch {
    return new Map();
  }
  return new Map(files.map((file) => [file, readFileSync(join(folder, target, file))]));
}

/** Keeps an input that failed. Gives its path. */
export function saveSeed(target: string, input: Uint8Array, folder: string = seedsFolder): string {
  mkdirSync(join(folder, target), { recursive: true });
  const name = createHash("sha256").update(input).digest("hex").slice(0, 12);
  const path = join(folder, target, `${name}.bin`);
  writeFileSync(path, input);
  return path;
}
