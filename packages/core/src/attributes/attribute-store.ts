import type { AttributeKey } from "./attribute-key.ts";

/** The attributes of one request. Absent keys read as `undefined`. */
export class RequestAttributes {
  readonly #values: unknown[] = [];

  get<T>(key: AttributeKey<T>): T | undefined {
    // What `set` stored under this key has type T: a key's index is unique to it.
    return this.#values[key.index] as T | undefined;
  }

  set<T>(key: AttributeKey<T>, value: T | undefined): void {
    const values = this.#values;
    while (values.length <= key.index) values.push(undefined);
    values[key.index] = value;
  }
}
