import { readFile } from "node:fs/promises";
import type { Clock } from "@pointsman/core";

/** Time after which a file is read again, as Kubernetes' own clients do. */
const maxAgeMs = 60_000;
/** Tokens and bundles of certificates are smaller. */
const maxBytes = 4 * 1024 * 1024;

/** The content of a file that others replace now and then. */
export class RotatingFile {
  readonly path: string;
  readonly #clock: Clock;
  #text: string | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
  }

  /** The text, at most a minute old. A file that cannot be read at the moment leaves the last text in use. */
  async read(): Promise<string> {
    if (this.#text !== undefined && this.#clock.now() - this.#readAtMs < maxAgeMs) return this.#text;
    try {
      const bytes = await readFile(this.path);
      if (bytes.length > maxBytes) throw new Error(`${this.path} has more than ${maxBytes} bytes`);
      this.#text = bytes.toString("utf8");
      this.#readAtMs = this.#clock.now();
    } catch (thrown) {
      if (this.#text === undefined) throw thrown;
    }
    return this.#text;
  }

  /** Reads the file anew the next time. */
  expire(): void {
    this.#readAtMs = Number.NEGATIVE_INFINITY;
  }
}
