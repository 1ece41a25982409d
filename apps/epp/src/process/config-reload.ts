import { dirname } from "node:path";
import type { LoadOutcome, PluginGraph } from "@pointsman/config";
import { type Counter, errorText, type Logger, type MetricsRegistry, type Timers } from "@pointsman/core";
import { FolderWatch } from "./folder-watch.ts";
import type { Unreadable } from "./load-graph.ts";
import { readConfigFile } from "./read-config-file.ts";

export interface ConfigReloadOptions {
  readonly file: string;
  /** The file's text when the process read it. */
  readonly current: string;
  /** Loads the file's text as a start does, taking over what did not change. The file may say something else by then. */
  load(text: string): Promise<LoadOutcome | Unreadable>;
  /** Puts a graph to work. Returns why it cannot, `undefined` when it does; it owns the graph either way. */
  use(graph: PluginGraph, effective: NonNullable<LoadOutcome["effective"]>): Promise<string | undefined>;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/**
 * Follows the configuration file. A changed one is loaded beside the one at work and put to work in one step; one with a
 * problem is reported with every problem in it, once, and the last good one stays.
 */
export class ConfigReload {
  readonly #options: ConfigReloadOptions;
  readonly #watch: FolderWatch;
  readonly #succeeded: Counter;
  readonly #failed: Counter;
  /** What the file said at the last look, be it good or not. */
  #seen: string;
  #unreadable = false;
  #forced = false;

  constructor(options: ConfigReloadOptions) {
    this.#options = options;
    this.#seen = options.current;
    const reloads = options.metrics.counter({
      name: "llm_d_epp_config_reloads_total",
      help: "Changes of the configuration file by what became of them.",
      labelNames: ["result"],
    });
    this.#succeeded = reloads.labels("success");
    this.#failed = reloads.labels("failure");
    this.#watch = new FolderWatch({ ...options, folders: [dirname(options.file)], look: () => this.#look() });
  }

  stop(): void {
    this.#watch.stop();
  }

  /** Loads the file now, changed or not: what it names may have changed. */
  reload(): void {
    this.#forced = true;
    this.#watch.lookNow();
  }

  async #look(): Promise<void> {
    const { file, logger } = this.#options;
    let text: string;
    try {
      text = await readConfigFile(file);
    } catch (thrown: unknown) {
      // For the moment of a replacement there may be no file; a longer absence is told once.
      if (!this.#unreadable) {
        logger.warn({ file, problem: errorText(thrown) }, "configuration file cannot be read; the last good one stays");
      }
      this.#unreadable = true;
      return;
    }
    this.#unreadable = false;
    if (text === this.#seen && !this.#forced) return;
    this.#forced = false;
    this.#seen = text;
    // At a start an empty file stands for the built-in configuration; here it is one that somebody is still writing.
    const problem = text.trim() === "" ? "the file is empty" : await this.#load(text);
    if (this.#watch.stopped) return;
    if (problem === undefined) {
      this.#succeeded.inc();
      logger.info({ file }, "configuration reloaded");
    } else {
      this.#failed.inc();
      logger.error({ file, problem }, "configuration not reloaded; the last good one stays");
    }
  }

  /** Returns what went wrong. Single problems are logged. */
  async #load(text: string): Promise<string | undefined> {
    const { logger } = this.#options;
    try {
      const loaded = await this.#options.load(text);
      if ("unreadable" in loaded) return loaded.unreadable;
      const { graph, effective, problems } = loaded;
      for (const { severity, code, file, line, column, message, help } of problems) {
        logger[severity === "error" ? "error" : "warn"]({ code, file, line, column, help }, message);
      }
      if (this.#watch.stopped) {
        await graph?.dispose();
        return undefined;
      }
      if (graph === undefined || effective === undefined) {
        const errors = problems.filter(({ severity }) => severity === "error").length;
        return errors === 1 ? "1 error" : `${errors} errors`;
      }
      return await this.#options.use(graph, effective);
    } catch (thrown: unknown) {
      return errorText(thrown);
    }
  }
}
