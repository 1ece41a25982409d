import { dirname } from "node:path";
import { type Counter, errorText, type Logger, type Timers } from "@pointsman/core";
import { type CertificateFiles, type Certificates, readCertificates } from "./certificate-files.ts";
import { FolderWatch } from "./folder-watch.ts";

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

/** Puts changed certificates to use. Those that are not valid are reported once, and the ones in use stay. */
export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  readonly #watch: FolderWatch;
  #current: Certificates;
  /** What was wrong at the last look, so that it is said once. */
  #problem: string | undefined;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#current = options.current;
    const { directory, clientCa } = options.files;
    this.#watch = new FolderWatch({
      ...options,
      folders: [directory, ...(clientCa === undefined ? [] : [dirname(clientCa.file)])],
      look: () => this.#read(),
    });
  }

  stop(): void {
    this.#watch.stop();
  }

  async #read(): Promise<void> {
    const { files, logger } = this.#options;
    try {
      const read = await readCertificates(files);
      if (this.#watch.stopped) return;
      this.#problem = undefined;
      const { cert, key, clientCa } = this.#current;
      if (read.cert === cert && read.key === key && read.clientCa === clientCa) return;
      this.#options.use(read);
      this.#current = read;
      this.#options.succeeded.inc();
      logger.info({ flag: files.flag, directory: files.directory }, "certificate reloaded");
    } catch (thrown: unknown) {
      const problem = errorText(thrown);
      if (this.#watch.stopped || problem === this.#problem) return;
      this.#problem = problem;
      this.#options.failed.inc();
      logger.error({ flag: files.flag, problem }, "certificate not reloaded; the one in use stays");
    }
  }
}
