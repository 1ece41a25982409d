import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

/** A program that runs for a test. */
export class Running {
  readonly name: string;
  readonly lines: string[] = [];
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #code: number | null | undefined;

  constructor(
    name: string,
    command: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.name = name;
    this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } });
    this.exited = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("exit", (code) => {
        this.#code = code;
        for (const watcher of this.#watchers) watcher();
        resolve(code);
      });
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.lines.push(line);
        for (const watcher of this.#watchers) watcher();
      });
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The first line that `accept` takes, also one printed before; fails when the program ends or time runs out. */
  line(accept: (line: string) => boolean, timeoutMs: number = 60_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        this.#watchers.delete(look);
        reject(new Error(`${this.name} ${why}; it said:\n${this.lines.slice(-40).join("\n")}`));
      };
      const timer = setTimeout(() => fail(`did not print what was waited for in ${timeoutMs} ms`), timeoutMs);
      const look = (): void => {
        const found = this.lines.find(accept);
        if (found !== undefined) {
          clearTimeout(timer);
          this.#watchers.delete(look);
          resolve(found);
        } else if (this.#code !== undefined) {
          clearTimeout(timer);
          fail(`ended with code ${this.#code}`);
        }
      };
      this.#watchers.add(look);
      look();
    });
  }

  async json(accept: (value: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    const line = await this.line((text) => {
      const value = parse(text);
      return value !== undefined && accept(value);
    });
    return parse(line)!;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.#code === undefined) {
      this.#child.kill(signal);
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
      await this.exited;
      clearTimeout(timer);
    }
    return this.#code ?? null;
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
