/** The part of an output stream that a bar needs. */
export interface ProgressTarget {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const barWidth = 30;

/** A line at the end of a terminal that tells how far something is. Where there is no terminal it writes nothing. */
export class ProgressBar {
  readonly #target: ProgressTarget;

  constructor(target: ProgressTarget) {
    this.#target = target;
  }

  /** Shows what is going on, and how much of it is done. */
  show(label: string, done: number, of: number): void {
    const filled = Math.round((barWidth * done) / Math.max(1, of));
    this.#replace(`[${"#".repeat(filled)}${".".repeat(barWidth - filled)}] ${done}/${of} ${label}`);
  }

  /** Shows what is going on where nothing tells how long it takes. */
  say(label: string): void {
    this.#replace(label);
  }

  clear(): void {
    this.#replace("");
  }

  #replace(line: string): void {
    if (this.#target.isTTY === true) this.#target.write(`\r\u001b[K${line}`);
  }
}
