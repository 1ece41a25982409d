import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Counter, errorText, type Logger, type Timers } from "@pointsman/core";
import { type CertificateFiles, type Certificates, readCertificates } from "./certificate-files.ts";

/** Files are read when nothing has happened in their folders for this long. */
export const settleMs = 250;
/** Without news, a look at the files this often, for what the operating system does not tell. */
export const lookIntervalMs = 10_000;

export interface CertificateWatchOptions {
  readonly files: CertificateFiles;
  /** What is in use. */
  readonly current: Certificates;
  /** Starts to use others; throws when they cannot be used. */
  use(certificates: Certificates): void;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly succeeded: Counter;
  readonly failed: Counter;
}

/**
 * Puts changed certificates to use. Those that are not valid are reported once, and the ones in use stay.
 *
 * It watches the folders, so it sees a rename over a file and the symbolic link that Kubernetes swaps when a mounted
 * Secret changes. A look every ten seconds covers the rest: folders that are replaced, network file systems.
 */
export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  readonly #look: { stop(): void };
  readonly #folders: ReadonlyMap<string, { watcher: FSWatcher | undefined; inode: number | undefined }>;
  #settle: { stop(): void } | undefined;
  #current: Certificates;
  /** What was wrong at the last look, so that it is said once. */
  #problem: string | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#current = options.current;
    const { directory, clientCa } = options.files;
    const folders = new Set([directory, ...(clientCa === undefined ? [] : [dirname(clientCa.file)])]);
    this.#folders = new Map([...folders].map((folder) => [folder, { watcher: undefined, inode: undefined }]));
    this.#look = options.timers.every(lookIntervalMs, () => this.#check());
    this.#check();
  }

  stop(): void {
    this.#stopped = true;
    this.#look.stop();
    this.#settle?.stop();
    for (const { watcher } of this.#folders.values()) watcher?.close();
  }

  #changed(): void {
    if (this.#stopped) return;
    this.#settle?.stop();
    this.#settle = this.#options.timers.after(settleMs, () => this.#check());
  }

  /** One look at a time; news during a look leads to another. */
  #check(): void {
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#running = this.#read().finally(() => {
      this.#running = undefined;
      if (this.#again && !this.#stopped) {
        this.#again = false;
        this.#check();
      }
    });
  }

  async #read(): Promise<void> {
    await this.#watchFolders();
    const { files, logger } = this.#options;
    try {
      const read = await readCertificates(files);
      if (this.#stopped) return;
      this.#problem = undefined;
      const { cert, key, clientCa } = this.#current;
      if (read.cert === cert && read.key === key && read.clientCa === clientCa) return;
      this.#options.use(read);
      this.#current = read;
      this.#options.succeeded.inc();
      logger.info({ flag: files.flag, directory: files.directory }, "certificate reloaded");
    } catch (thrown: unknown) {
      const problem = errorText(thrown);
      if (this.#stopped || problem === this.#problem) return;
      this.#problem = problem;
      this.#options.failed.inc();
      logger.error({ flag: files.flag, problem }, "certificate not reloaded; the one in use stays");
    }
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
        this.#options.logger.debug({ folder, problem: errorText(thrown) }, "folder of certificates cannot be watched");
      }
    }
  }
}
