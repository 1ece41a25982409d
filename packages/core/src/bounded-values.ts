/** Longer values are not told apart: on a metrics page each stands hundreds of times. */
const maxLength = 256;

/**
 * Lets a bounded number of distinct values of at most 256 characters through; the rest become `other`. For metric labels
 * that clients choose.
 */
export class BoundedValues {
  readonly #known = new Set<string>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  bound(value: string): string {
    if (value.length > maxLength) return "other";
    if (value === "" || this.#known.has(value)) return value;
    if (this.#known.size >= this.#limit) return "other";
    this.#known.add(value);
    return value;
  }
}
