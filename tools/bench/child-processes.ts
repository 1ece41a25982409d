import { type ChildProcess, fork, spawn } from "node:child_process";
import { Running } from "../e2e/running.ts";

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

/**
 * The processes of a bench run. None outlives it: what still runs when this process exits, for whatever reason it can
 * notice, is killed.
 */
export class ChildProcesses {
  readonly #live = new Set<{ kill(): void; stop(): Promise<unknown> }>();

  constructor() {
    process.on("exit", () => this.kill());
  }

  /** Starts a program that serves until it is stopped. */
  program(
    name: string,
    command: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Running {
    const running = new Running(name, command, args, environment);
    const entry = { kill: () => running.signal("SIGKILL"), stop: () => running.stop() };
    const gone = (): void => void this.#live.delete(entry);
    this.#live.add(entry);
    // A program that cannot be started shows itself when it does not print what is waited for.
    running.exited.then(gone, gone);
    return running;
  }

  /** Starts a file of this folder in a process of its own. */
  worker(file: string, args: readonly (string | number)[]): Worker {
    const child = fork(new URL(file, import.meta.url), args.map(String));
    const worker = new Worker(file, child);
    this.#track(child);
    return worker;
  }

  /** Runs a program to its end. Rejects only if it cannot be started. */
  run(command: string, args: readonly string[]): Promise<Output> {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#track(child);
    return new Promise((resolve, reject) => {
      const out = { stdout: "", stderr: "" };
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        out.stdout += text;
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        out.stderr += text;
      });
      child.once("error", reject);
      child.once("close", (code) => resolve({ ...out, code }));
    });
  }

  /** Ends everything, politely where possible. */
  async stop(): Promise<void> {
    await Promise.all([...this.#live].map((entry) => entry.stop()));
  }

  /** Kills everything at once. */
  kill(): void {
    for (const entry of this.#live) entry.kill();
  }

  #track(child: ChildProcess): void {
    const entry = {
      kill: () => void child.kill("SIGKILL"),
      stop: () => stopChild(child),
    };
    this.#live.add(entry);
    const gone = (): void => void this.#live.delete(entry);
    child.once("exit", gone);
    child.once("error", gone);
  }
}

/** A file of this folder that runs in a process of its own and answers messages one by one. */
export class Worker {
  readonly #name: string;
  readonly #child: ChildProcess;

  constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#child = child;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The next message from the process; rejects when it ends first. */
  next<T>(): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null) {
        reject(new Error(`${this.#name} has ended with code ${this.#child.exitCode}`));
        return;
      }
      const onMessage = (message: unknown): void => {
        this.#child.off("exit", onExit);
        // Both ends are files of this folder.
        resolve(message as T);
      };
      const onExit = (code: number | null): void => {
        this.#child.off("message", onMessage);
        reject(new Error(`${this.#name} ended with code ${code}`));
      };
      this.#child.once("message", onMessage);
      this.#child.once("exit", onExit);
    });
  }

  ask<T>(question: string): Promise<T> {
    const answer = this.next<T>();
    this.#child.send(question);
    return answer;
  }

  stop(): Promise<void> {
    return stopChild(this.#child);
  }
}

function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill("SIGTERM");
  });
}
