/**
 * Runs every generator: protobuf messages, the table of in-tree plugins, README tables, the error page, the JSON Schema.
 * With `--check`, changes nothing and exits 1 naming what is out of date.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./workspace-packages.ts";

// A mistyped --check must not write.
const unknown = process.argv.slice(2).find((arg) => arg !== "--check");
if (unknown !== undefined) {
  console.error(`generate: unexpected argument ${JSON.stringify(unknown)}; there is --check, which changes nothing`);
  process.exit(2);
}
const check = process.argv.includes("--check");
let failed = false;

function run(command: string, args: readonly string[], cwd: string = root): boolean {
  const { status } = spawnSync(command, args, { cwd, stdio: "inherit" });
  return status === 0;
}

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((file) => statSync(join(directory, file)).isFile())
    .sort();
}

/** Generates messages beside the checked-in ones and compares, or in their place. */
function protobuf(): boolean {
  const buf = join(root, "node_modules/.bin/buf");
  const template = join(root, "proto/buf.gen.yaml");
  if (!check) return run(buf, ["generate", "--template", template]);
  const scratch = mkdtempSync(join(tmpdir(), "pointsman-gen-"));
  try {
    for (const part of ["proto", "buf.yaml"]) cpSync(join(root, part), join(scratch, part), { recursive: true });
    if (!run(buf, ["lint"], scratch) || !run(buf, ["generate", "--template", "proto/buf.gen.yaml"], scratch))
      return false;
    const [fresh, current] = [join(scratch, "packages/proto/src/gen"), join(root, "packages/proto/src/gen")];
    const names = filesUnder(fresh);
    const same =
      JSON.stringify(names) === JSON.stringify(filesUnder(current)) &&
      names.every((name) => readFileSync(join(fresh, name), "utf8") === readFileSync(join(current, name), "utf8"));
    if (!same) console.error("packages/proto/src/gen differs from proto/; run `pnpm generate`");
    return same;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (!protobuf()) failed = true;
const flags = check ? ["--check"] : [];
for (const generator of ["generate-builtins.ts", "readme-params.ts", "generate-docs.ts"]) {
  if (!run(process.execPath, ["--conditions=@pointsman/source", join(root, "tools", generator), ...flags]))
    failed = true;
}
console.log(failed ? "generated files: not all right" : `generated files: ${check ? "up to date" : "written"}`);
process.exitCode = failed ? 1 : 0;
