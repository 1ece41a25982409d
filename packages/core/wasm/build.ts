// Compiles xxh64.ts with AssemblyScript and writes it, as base64, where it is used. `--check` writes nothing and exits 1
// when the written file differs.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileWasm, generatedFile } from "./compile-wasm.ts";

const text = await compileWasm();
const path = fileURLToPath(generatedFile);
if (!process.argv.includes("--check")) {
  writeFileSync(path, text);
} else if (readFileSync(path, "utf8") !== text) {
  console.error(`${path} differs from what wasm/xxh64.ts compiles to; run "pnpm build:wasm" in this package`);
  process.exitCode = 1;
}
