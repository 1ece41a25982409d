import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const startTimeoutMs = 30_000;

/** A child process of the demo that says in one JSON line when it is ready. */
export class DemoProcess {
  readonly name: string;
  /** The line's fields; rejects when the process ends or takes too long before. */
  readonly started: Promise<Readonly<Record<string, unknown>>>;
  /** Exit code, `null` after a signal. */
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(
    name: string,
    command: string,
    args: readonly string[],
    isReady: (line: Record<string, unknown>) => boolean,
  ) {
    this.name = name;
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code) => resolve(code));
      child.once("error", () => resolve(null));
    });
    this.started = new Promise((resolve, reject) => {
      const said: string[] = [];
      const timer = setTimeout(
        () => reject(new Error(`${name} was not ready in ${startTimeoutMs / 1000} s`)),
        startTimeoutMs,
      );
      // A program that has ended is waited for no longer: nothing else may keep the demo from ending.
      void this.exited.then(() => clearTimeout(timer));
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`${name} ended with code ${code}:\n${said.join("\n")}`)));
      for (const stream of [child.stdout!, child.stderr!]) {
        createInterface({ input: stream }).on("line", (text) => {
          if (said.length < 50) said.push(text);
          const line = parseLine(text);
          if (line !== undefined && isReady(line)) {
            clearTimeout(timer);
            resolve(line);
          }
        });
      }
    });
    // Whoever waits for the start handles its failure; nobody may be waiting any more when the demo is interrupted.
    this.started.catch(() => {});
  }

  static modelSim(name: string): DemoProcess {
    let entry: string;
    try {
      entry = fileURLToPath(import.meta.resolve("@pointsman/model-sim"));
    } catch (thrown: unknown) {
      throw new Error("the simulated model servers are a package of their own: npm install @pointsman/model-sim", {
        cause: thrown,
      });
    }
    return new DemoProcess(
      name,
      join(dirname(dirname(entry)), "bin/model-sim"),
      ["--name", name, "--port", "0"],
      (line) => line["event"] === "listening",
    );
  }

  static epp(args: readonly string[]): DemoProcess {
    const bin = fileURLToPath(new URL("../../bin/epp", import.meta.url));
    return new DemoProcess("epp", bin, args, (line) => line["msg"] === "ready");
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await this.exited;
    clearTimeout(timer);
  }
}

function parseLine(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
