/**
 * Headers in the order they arrived, names in lower case, repeats kept.
 *
 * A message has some ten to twenty headers, so look-up walks the list.
 */
export class Headers {
  readonly names: string[] = [];
  readonly values: string[] = [];

  static from(pairs: Iterable<readonly [string, string]>): Headers {
    const headers = new Headers();
    for (const [name, value] of pairs) headers.append(name, value);
    return headers;
  }

  get size(): number {
    return this.names.length;
  }

  append(name: string, value: string): void {
    this.names.push(name.toLowerCase());
    this.values.push(value);
  }

  /** Value of the last header of this lower-case name. */
  get(name: string): string | undefined {
    for (let i = this.names.length - 1; i >= 0; i--) {
      if (this.names[i] === name) return this.values[i];
    }
    return undefined;
  }

  /** Value of the first header of this lower-case name. */
  first(name: string): string | undefined {
    const index = this.names.indexOf(name);
    return index === -1 ? undefined : this.values[index];
  }

  has(name: string): boolean {
    return this.names.includes(name);
  }

  /** Value under the current name if present at all, else under the deprecated one. */
  getAliased(names: readonly [current: string, deprecated: string]): string | undefined {
    return this.get(names[0]) ?? this.get(names[1]);
  }
}

/** A header's value as text: headers hold one character per byte. What is not valid UTF-8 stays as it is. */
export function headerText(value: string): string {
  for (let i = 0; i < value.length; i++) {
    if (value.charCodeAt(i) < 0x80) continue;
    const text = Buffer.from(value, "latin1").toString("utf8");
    return text.includes("\ufffd") ? value : text;
  }
  return value;
}

/** What to change in a message's headers. Removal is applied before setting. */
export interface HeaderMutation {
  /** Pairs of name and value; each replaces all headers of its name. */
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}
