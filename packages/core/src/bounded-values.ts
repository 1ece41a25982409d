/** Lets a bounded number of distinct values through; the rest become `other`. For metric labels that clients choose. */
export class BoundedValues {
  readonly #known = new Set<string>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  bound(value: string): string {
    if (value === "" || this.#known.has(value)) return value;
    if (this.#known.size >= this.#limit) return "other";
    this.#known.add(value);
    return value;
  }
}
