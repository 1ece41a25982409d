import { readFileSync } from "node:fs";
import { jsonLogger } from "../log.ts";
import { type ModelSim, startModelSim } from "../start-model-sim.ts";
import { helpText, parseCommandLine } from "./command-line.ts";

/** Runs the program: reads the flags, starts the server, ends it on SIGTERM or SIGINT. Sets the process's exit code. */
export async function run(args: readonly string[]): Promise<void> {
  // A parent that goes away closes the pipes; the server goes on.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  const commandLine = parseCommandLine(args);
  switch (commandLine.kind) {
    case "help":
      process.stdout.write(helpText());
      return;
    case "version":
      process.stdout.write(`${version()}\n`);
      return;
    case "wrong":
      process.stderr.write(commandLine.problems.map((problem) => `model-sim: ${problem}\n`).join(""));
      process.exitCode = 2;
      return;
    case "run": {
      const { options, logLevel, shutdownTimeoutMs } = commandLine;
      const logger = jsonLogger(logLevel, options.name ?? "model-sim", (line) => void process.stderr.write(line));
      let sim: ModelSim;
      try {
        sim = await startModelSim({ ...options, logger });
      } catch (error: unknown) {
        process.stderr.write(`model-sim: cannot start: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exitCode = 1;
        return;
      }
      stopOnSignals(sim, shutdownTimeoutMs);
      const { name, url, controlUrl } = sim;
      const line = {
        event: "listening",
        name,
        url,
        pid: process.pid,
        ...(controlUrl === undefined ? {} : { controlUrl }),
      };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  }
}

/** The first signal lets open requests finish, the second ends the process at once. */
function stopOnSignals(sim: ModelSim, shutdownTimeoutMs: number): void {
  let isStopping = false;
  const onSignal = () => {
    if (isStopping) process.exit(1);
    isStopping = true;
    void sim.stop({ graceMs: shutdownTimeoutMs }).then(() => process.exit(0));
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const found =
    typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : undefined;
  return typeof found === "string" ? found : "unknown";
}
