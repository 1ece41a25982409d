import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";
import { errorText, type Logger, type Timers } from "@pointsman/core";
import { type FileSignature, fileSignature } from "./read-bounded.ts";

/** Without news a look at the file this often, for what the operating system does not tell. */
const pollIntervalMs = 1000;
/** A file is read when it has not changed for this long. */
const settleMs = 50;
/** A file that never rests is read nevertheless after this many looks. */
const maxLooks = 40;

export interface FileWatchOptions {
  readonly path: string;
  readonly timers: Timers;
  readonly logger: Logger;
  /** The state that needs no call: the one read last. */
  readonly known: FileSignature;
  /** Called when the file has changed and rests. The next call comes after this one has ended. Returns the state read. */
  onChange(): Promise<FileSignature>;
}

/**
 * Tells when a file has changed.
 *
 * It watches the folder, not the file, so it survives a rename over the file, a swapped symbolic link of a mounted
 * ConfigMap, and a file that is removed and written anew. Looking at the file every second covers what is not reported:
 * network file systems, links that lead elsewhere, a folder that is replaced.
 */
export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #folder: string;
  readonly #poll: { stop(): void };
  #watcher: FSWatcher | undefined;
  #watchedFolder: FileSignature | undefined;
  #lookTimer: { stop(): void } | undefined;
  #known: FileSignature;
  #looking = false;
  #lookAgain = false;
  #toldOfWatchProblem = false;
  #closed = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#folder = dirname(options.path);
    this.#known = options.known;
    this.#poll = options.timers.every(pollIntervalMs, () => this.#look());
    this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#poll.stop();
    this.#lookTimer?.stop();
    this.#watcher?.close();
  }

  /** Looks at the file a little later, so that a burst of events costs one look. */
  #lookSoon(): void {
    if (this.#closed || this.#lookTimer !== undefined) return;
    this.#lookTimer = this.#options.timers.after(settleMs, () => {
      this.#lookTimer = undefined;
      this.#look();
    });
  }

  #look(): void {
    if (this.#looking) {
      this.#lookAgain = true;
      return;
    }
    this.#looking = true;
    this.#lookAgain = false;
    this.#followFile()
      .catch((thrown: unknown) => {
        this.#options.logger.error({ file: this.#options.path, error: errorText(thrown) }, "following the file failed");
      })
      .finally(() => {
        this.#looking = false;
        if (this.#lookAgain) this.#lookSoon();
      });
  }

  async #followFile(): Promise<void> {
    await this.#watchFolder();
    let seen = await fileSignature(this.#options.path);
    for (let looks = 0; seen !== this.#known && looks < maxLooks && !this.#closed; looks++) {
      await new Promise<void>((resolve) => this.#options.timers.after(settleMs, resolve));
      const before = seen;
      seen = await fileSignature(this.#options.path);
      if (seen === before) break;
    }
    if (seen === this.#known || this.#closed) return;
    this.#known = await this.#options.onChange();
    if (this.#known !== seen) this.#lookAgain = true;
  }

  /** Watches the folder; again when it has been replaced. */
  async #watchFolder(): Promise<void> {
    const folder = (await fileSignature(this.#folder)).split(" ").slice(0, 2).join(" ");
    if (this.#closed || (this.#watcher !== undefined && folder === this.#watchedFolder)) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    try {
      const watcher = watch(this.#folder, { persistent: false }, () => this.#lookSoon());
      watcher.on("error", (error) => this.#watchProblem(error));
      this.#watcher = watcher;
      this.#watchedFolder = folder;
    } catch (thrown) {
      this.#watchProblem(thrown);
    }
  }

  #watchProblem(problem: unknown): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (this.#toldOfWatchProblem) return;
    this.#toldOfWatchProblem = true;
    this.#options.logger.warn(
      { folder: this.#folder, error: errorText(problem), lookEveryMs: pollIntervalMs },
      "the folder cannot be watched; changes of the file are noticed by looking at it",
    );
  }
}
