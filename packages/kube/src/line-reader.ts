const newline = 0x0a;

/** Cuts bytes into lines as they come in, holding no more than one line. */
export class LineReader {
  readonly #maxLineBytes: number;
  readonly #onLine: (line: string) => void;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxLineBytes: number, onLine: (line: string) => void) {
    this.#maxLineBytes = maxLineBytes;
    this.#onLine = onLine;
  }

  /** Takes the next bytes. Throws when a line is longer than allowed. */
  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      const stop = end === -1 ? chunk.length : end;
      this.#bytes += stop - start;
      if (this.#bytes > this.#maxLineBytes) throw new Error(`an event has more than ${this.#maxLineBytes} bytes`);
      if (stop > start) this.#parts.push(chunk.subarray(start, stop));
      if (end === -1) return;
      const line = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#bytes);
      this.#parts = [];
      this.#bytes = 0;
      start = end + 1;
      if (line.length > 0) this.#onLine(line.toString("utf8"));
    }
  }

  /** Whether a line has begun that has not ended. */
  get midLine(): boolean {
    return this.#bytes > 0;
  }
}
