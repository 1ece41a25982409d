/** JSON text of a value of our own making: texts, numbers that are exact, booleans, null, and lists and objects of them. */
export type PlainJson =
  | string
  | number
  | boolean
  | null
  | RawJson
  | readonly PlainJson[]
  | { readonly [key: string]: PlainJson | undefined };

/** JSON text that goes out as it stands, such as a number beyond 2^53. */
export class RawJson {
  readonly text: Uint8Array;

  constructor(text: Uint8Array | string) {
    this.text = typeof text === "string" ? Buffer.from(text) : text;
  }
}

/** Writes a value; members that are `undefined` are left out. */
export function jsonText(value: PlainJson): Uint8Array {
  const slices: Uint8Array[] = [];
  write(value, slices);
  return slices.length === 1 ? slices[0]! : Buffer.concat(slices);
}

function write(value: PlainJson, slices: Uint8Array[]): void {
  if (value instanceof RawJson) {
    slices.push(value.text);
  } else if (isList(value)) {
    slices.push(Buffer.from("["));
    value.forEach((element, i) => {
      if (i > 0) slices.push(Buffer.from(","));
      write(element, slices);
    });
    slices.push(Buffer.from("]"));
  } else if (typeof value === "object" && value !== null) {
    let separator = "{";
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      slices.push(Buffer.from(`${separator}${JSON.stringify(key)}:`));
      write(member, slices);
      separator = ",";
    }
    slices.push(Buffer.from(separator === "{" ? "{}" : "}"));
  } else {
    slices.push(Buffer.from(JSON.stringify(value)));
  }
}

function isList(value: PlainJson): value is readonly PlainJson[] {
  return Array.isArray(value);
}
