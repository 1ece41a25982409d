import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { errorText, type Logger, type Timers } from "@pointsman/core";

/** Files are read when nothing has happened in their folders for this long. */
export const settleMs = 250;
/** Without news, a look at the files this often, for what the operating system does not tell. */
export const lookIntervalMs = 10_000;

export interface FolderWatchOptions {
  readonly folders: Iterable<string>;
  /** Looks at the files. One call at a time; news during a call leads to another. Must not reject. */
  look(): Promise<void>;
  readonly timers: Timers;
  readonly logger: Logger;
}

/**
 * Calls `look` at the start, when something in a folder has changed, and every ten seconds.
 *
 * It watches folders, so it sees a rename over a file and the symbolic link that Kubernetes swaps when a mounted volume
 * changes. The look every ten seconds covers the rest: folders that are replaced, network file systems.
 */
export class FolderWatch {
  readonly #options: FolderWatchOptions;
  readonly #repeated: { stop(): void };
  readonly #folders: ReadonlyMap<string, { watcher: FSWatcher | undefined; inode: number | undefined }>;
  #settle: { stop(): void } | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: FolderWatchOptions) {
    this.#options = options;
    this.#folders = new Map(
      [...new Set(options.folders)].map((folder) => [folder, { watcher: undefined, inode: undefined }]),
    );
    this.#repeated = options.timers.every(lookIntervalMs, () => this.lookNow());
    this.lookNow();
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
    this.#repeated.stop();
    this.#settle?.stop();
    for (const { watcher } of this.#folders.values()) watcher?.close();
  }

  /** Looks without waiting for news. */
  lookNow(): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#running = this.#watchAndLook().finally(() => {
      this.#running = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.lookNow();
    });
  }

  async #watchAndLook(): Promise<void> {
    await this.#watchFolders();
    if (!this.#stopped) await this.#options.look();
  }

  #changed(): void {
    if (this.#stopped) return;
    this.#settle?.stop();
    this.#settle = this.#options.timers.after(settleMs, () => this.lookNow());
  }

  /** Watches each folder; again when it has been replaced. */
  async #watchFolders(): Promise<void> {
    for (const [folder, state] of this.#folders) {
      const inode = await stat(folder).then(
        (found) => found.ino,
        () => undefined,
      );
      if (this.#stopped) return;
      if (inode === state.inode && state.watcher !== undefined) continue;
      state.watcher?.close();
      state.watcher = undefined;
      state.inode = inode;
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#changed());
        watcher.on("error", () => {
          watcher.close();
          if (state.watcher === watcher) state.watcher = undefined;
        });
        state.watcher = watcher;
      } catch (thrown: unknown) {
        // The look every ten seconds goes on, and tries this again.
        this.#options.logger.debug({ folder, problem: errorText(thrown) }, "folder cannot be watched");
      }
    }
  }
}
