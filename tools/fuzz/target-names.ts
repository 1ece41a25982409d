import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Names of all targets: the modules in `targets/`. */
export function targetNames(): readonly string[] {
  return readdirSync(join(import.meta.dirname, "targets"))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -3))
    .sort();
}
