import { continuesMetricName } from "./name-chars.ts";

const tableSize = 4096;

/** Slot of the table for two neighbouring characters. */
function slotOf(first: number, second: number): number {
  return ((first << 5) ^ second) & (tableSize - 1);
}

/**
 * A fixed set of names that is asked at the start of every line, nearly always in vain.
 * Cost: two characters at a fixed distance from the line's start decide for most lines, whatever the names' number.
 */
export class NameSet {
  readonly names: readonly string[];
  readonly #shortest: number;
  /** For each slot the number of the list of names with this slot, 0 for none. */
  readonly #listOfSlot: Uint16Array = new Uint16Array(tableSize);
  readonly #lists: number[][] = [[]];

  constructor(names: readonly string[]) {
    this.names = names;
    let shortest = Number.POSITIVE_INFINITY;
    for (const name of names) shortest = Math.min(shortest, name.length);
    this.#shortest = shortest;
    for (const [index, name] of names.entries()) {
      const slot = this.#slotAt(name, 0);
      let list = this.#listOfSlot[slot]!;
      if (list === 0) {
        list = this.#lists.push([]) - 1;
        this.#listOfSlot[slot] = list;
      }
      this.#lists[list]!.push(index);
    }
  }

  /** Index of the name that text[from, end) starts with and that ends there, or -1. */
  at(text: string, from: number, end: number): number {
    if (end - from < this.#shortest) return -1;
    const list = this.#listOfSlot[this.#slotAt(text, from)]!;
    return list === 0 ? -1 : this.#compare(this.#lists[list]!, text, from, end);
  }

  #slotAt(text: string, from: number): number {
    const second = text.charCodeAt(from + this.#shortest - 1);
    return slotOf(this.#shortest > 1 ? text.charCodeAt(from + this.#shortest - 2) : 0, second);
  }

  #compare(list: readonly number[], text: string, from: number, end: number): number {
    for (const index of list) {
      const name = this.names[index]!;
      const to = from + name.length;
      if (to <= end && text.startsWith(name, from) && !(to < end && continuesMetricName(text.charCodeAt(to)))) {
        return index;
      }
    }
    return -1;
  }
}
