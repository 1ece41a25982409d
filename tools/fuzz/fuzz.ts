/**
 * Tries mutated and generated inputs on everything that reads bytes from outside. Exits 1 when an input breaks a rule,
 * after keeping it in `seeds/`, and 2 when the arguments are wrong.
 */
import { spawn } from "node:child_process";
import { relative } from "node:path";
import { readFuzzOptions, usage } from "./fuzz-options.ts";
import type { FuzzLine } from "./fuzz-process.ts";
import { targetNames } from "./target-names.ts";

const startMs = performance.now();
if (process.argv.includes("--help")) {
  console.log(usage);
  process.exit(0);
}
const run = readFuzzOptions(process.argv.slice(2), targetNames());
if (typeof run === "string") {
  console.error(run);
  process.exit(2);
}
const { targets, timeMs, seed, jobs } = run;
console.log(`fuzz: ${targets.length} targets, ${timeMs / 1000} s each, ${jobs} at a time, --seed ${seed}`);

/** Time beyond its own after which a target's process is ended. */
const lateMs = 120_000;

function tryTarget(name: string): Promise<FuzzLine | string> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [
        "--conditions=@pointsman/source",
        new URL("./fuzz-process.ts", import.meta.url).pathname,
        name,
        String(seed),
        String(timeMs),
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let out = "";
    let errors = "";
    // A thread that cannot be ended keeps its process.
    const late = setTimeout(() => child.kill("SIGKILL"), timeMs + lateMs);
    child.stdout.on("data", (bytes: Buffer) => {
      out += bytes.toString();
    });
    child.stderr.on("data", (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-10_000);
    });
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => {
      clearTimeout(late);
      const line = out.split("\n").find((text) => text.startsWith("{"));
      resolve(
        line === undefined ? `ended with ${signal ?? `code ${code}`}:\n${errors}` : (JSON.parse(line) as FuzzLine),
      );
    });
  });
}

const waiting = [...targets];
let failures = 0;
const work = async (): Promise<void> => {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const result = await tryTarget(name);
    if (typeof result === "string") {
      failures++;
      console.error(`FAILED ${name}: its process ${result}`);
      continue;
    }
    const { inputs, slowestMs, heldBytes, failure } = result;
    const figures = `${inputs} inputs, slowest ${slowestMs.toFixed(0)} ms, ${(heldBytes / 2 ** 20).toFixed(1)} MiB held`;
    if (failure === undefined) {
      console.log(`ok     ${name}: ${figures}`);
      continue;
    }
    failures++;
    const path = relative(process.cwd(), failure.path);
    console.error(`FAILED ${name}: ${figures}\n${failure.text}\n  input kept as ${path}; the unit tests try it again`);
  }
};
await Promise.all(Array.from({ length: jobs }, work));
console.log(
  `fuzz: ${targets.length - failures} of ${targets.length} targets ok in ${((performance.now() - startMs) / 1000).toFixed(0)} s`,
);
process.exitCode = failures === 0 ? 0 : 1;
