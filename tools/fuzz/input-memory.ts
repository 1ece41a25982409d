/** Inputs are not longer than this. Bytes. */
export const maxInputBytes: number = 1_048_576;

/**
 * The input that a thread is at, in memory that another thread sees: it is known when the first one hangs or dies.
 * Layout: two numbers (inputs begun, length), then the bytes.
 */
export class InputMemory {
  readonly shared: SharedArrayBuffer;
  readonly #numbers: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(8 + maxInputBytes)) {
    this.shared = shared;
    this.#numbers = new Int32Array(shared, 0, 2);
    this.#bytes = new Uint8Array(shared, 8);
  }

  begin(input: Uint8Array): void {
    this.#bytes.set(input);
    Atomics.store(this.#numbers, 1, input.length);
    Atomics.add(this.#numbers, 0, 1);
  }

  /** How many inputs were begun. */
  get count(): number {
    return Atomics.load(this.#numbers, 0);
  }

  get input(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, Atomics.load(this.#numbers, 1)));
  }
}
