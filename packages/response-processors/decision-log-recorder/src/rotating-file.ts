import { type FileHandle, open, rename } from "node:fs/promises";

/** Bytes that may wait to be written. */
export const maxQueuedBytes: number = 8 * 1024 ** 2;

/** What {@link RotatingFile} tells its owner. */
export interface RotatingFileEvents {
  /** So many lines are in the file. */
  written(lines: number): void;
  /** So many lines are lost because of an error. */
  failed(lines: number, error: unknown): void;
}

/**
 * Appends lines to a file, in the background and in order. Beyond `maxBytes` the file is renamed to `<path>.1` and begun
 * anew. The file is opened when the first line comes, for the owner only (mode 0600). After an error the next line tries
 * again.
 */
export class RotatingFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #events: RotatingFileEvents;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #file: FileHandle | undefined;
  #fileBytes = 0;
  #writing: Promise<void> | undefined;

  constructor(path: string, maxBytes: number, events: RotatingFileEvents) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#events = events;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Takes a line, which ends with a line feed. False when too much is waiting; then it is forgotten. Never throws. */
  append(line: string): boolean {
    const bytes = Buffer.from(line);
    if (this.#queuedBytes + bytes.length > maxQueuedBytes) return false;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#writing ??= this.#drain();
    return true;
  }

  /** Resolves when everything taken so far is written or lost, and the file is closed. Never rejects. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#release();
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      let lines = 0;
      try {
        const file = await this.#ready(this.#queue[0]!.length);
        let bytes = 0;
        for (const { length } of this.#queue) {
          if (lines > 0 && this.#fileBytes + bytes + length > this.#maxBytes) break;
          bytes += length;
          lines++;
        }
        await this.#write(file, Buffer.concat(this.#queue.slice(0, lines), bytes));
        this.#events.written(lines);
      } catch (thrown: unknown) {
        lines = Math.max(lines, 1);
        await this.#release();
        this.#events.failed(lines, thrown);
      }
      for (const { length } of this.#queue.splice(0, lines)) this.#queuedBytes -= length;
    }
    this.#writing = undefined;
  }

  /** The file, with room for a line. */
  async #ready(lineBytes: number): Promise<FileHandle> {
    this.#file ??= await this.#open();
    if (this.#fileBytes > 0 && this.#fileBytes + lineBytes > this.#maxBytes) {
      await this.#release();
      await rename(this.#path, `${this.#path}.1`);
      this.#file = await this.#open();
    }
    return this.#file;
  }

  async #open(): Promise<FileHandle> {
    const file = await open(this.#path, "a+", 0o600);
    try {
      this.#fileBytes = (await file.stat()).size;
      if (this.#fileBytes > 0) await this.#endLastLine(file);
      return file;
    } catch (thrown: unknown) {
      await file.close().catch(() => undefined);
      throw thrown;
    }
  }

  /** Puts a line feed behind what a process that was killed left without one. */
  async #endLastLine(file: FileHandle): Promise<void> {
    const last = Buffer.alloc(1);
    await file.read(last, 0, 1, this.#fileBytes - 1);
    if (last.toString() !== "\n") await this.#write(file, Buffer.from("\n"));
  }

  /** Writes all bytes, or none as far as the file system lets us. */
  async #write(file: FileHandle, bytes: Buffer): Promise<void> {
    try {
      for (let from = 0; from < bytes.length; ) from += (await file.write(bytes, from)).bytesWritten;
    } catch (thrown: unknown) {
      await file.truncate(this.#fileBytes).catch(() => undefined);
      throw thrown;
    }
    this.#fileBytes += bytes.length;
  }

  async #release(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
  }
}
