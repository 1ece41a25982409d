import { textBytes } from "./byte-text.ts";

/** Strings above about 128 KB are costly to make, so a page becomes text in parts of at most this size. */
const partBytes = 64 * 1024;
const growth = 4;

/** Further lines are not read: pages of millions of near-empty lines would take long for their size. */
export const maxLinesPerPage = 400_000;

const noBytes = new Uint8Array(0);

/**
 * Steps through the lines of a page. The fields hold the current line; one object serves all pages.
 * A line ends at a newline; a last line without one counts. An empty page has no line.
 * Cost: one copy of the page as text; an over-long line is copied again each time its part grows fourfold.
 */
export class PageLines {
  /** The current line, without its newline, is text[from, end); one character a byte. Other lines stand around it. */
  text = "";
  from = 0;
  end = 0;
  /** Counted from 1. */
  number = 0;
  /** Whether a newline ends the line. */
  terminated = false;

  #bytes: Buffer = textBytes(noBytes);
  #length = 0;
  /** Where on the page `text` starts. */
  #partFrom = 0;
  /** Whole lines end here in `text`. */
  #partEnd = 0;
  #next = 0;

  /** Goes before the first line of a page. The bytes must not change until `close`. */
  open(bytes: Uint8Array): void {
    this.#bytes = textBytes(bytes);
    this.#length = bytes.byteLength;
    this.#readPart(0);
    this.#restart();
  }

  /** Goes before the first line again. */
  rewind(): void {
    if (this.#partFrom !== 0) this.#readPart(0);
    this.#restart();
  }

  /** Lets go of the page. */
  close(): void {
    this.open(noBytes);
  }

  /** Whether the last line is behind; false when `next` has ended because of the limit. */
  get atEnd(): boolean {
    return this.#next >= this.#partEnd && this.#partFrom + this.#partEnd >= this.#length;
  }

  /** Goes to the next line; false after the last and after `maxLinesPerPage`. */
  next(): boolean {
    if (this.number === maxLinesPerPage) return false;
    if (this.#next >= this.#partEnd) {
      const partTo = this.#partFrom + this.#partEnd;
      if (partTo >= this.#length) return false;
      this.#readPart(partTo);
      this.#next = 0;
    }
    const from = this.#next;
    const newline = this.text.indexOf("\n", from);
    this.number++;
    this.from = from;
    this.terminated = newline >= 0;
    this.end = newline < 0 ? this.#partEnd : newline;
    this.#next = this.end + 1;
    return true;
  }

  /** A copy of text[from, to), which unlike a slice keeps nothing else alive. */
  copy(from: number, to: number): string {
    return from === to ? "" : this.#bytes.toString("latin1", this.#partFrom + from, this.#partFrom + to);
  }

  #restart(): void {
    this.number = 0;
    this.#next = 0;
  }

  /** Makes the text that starts at `partFrom` and holds one whole line at least. */
  #readPart(partFrom: number): void {
    this.#partFrom = partFrom;
    for (let size = partBytes; ; size *= growth) {
      const partTo = Math.min(partFrom + size, this.#length);
      this.text = this.#bytes.toString("latin1", partFrom, partTo);
      this.#partEnd = partTo === this.#length ? partTo - partFrom : this.text.lastIndexOf("\n") + 1;
      if (this.#partEnd > 0 || partTo === this.#length) return;
    }
  }
}
