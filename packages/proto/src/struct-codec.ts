import { MalformedMessage, type WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** A `google.protobuf.Struct` as plain values. */
export type StructValue = null | boolean | number | string | readonly StructValue[] | StructObject;
export interface StructObject {
  readonly [key: string]: StructValue;
}

/** Objects and values in one another: 100 objects, each the value of a field of the one around it. */
const maxDepth = 200;

/** Reads a `google.protobuf.Struct` into an object without prototype surprises: `__proto__` is an ordinary key. */
export function readStruct(reader: WireReader, depth: number = 0): StructObject {
  if (depth > maxDepth) throw new MalformedMessage("metadata nested too deep");
  const object: Record<string, StructValue> = {};
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 10) {
      reader.skip(tag);
      continue;
    }
    let key = "";
    let value: StructValue = null;
    reader.message((entry) => {
      while (!entry.done) {
        const entryTag = entry.tag();
        if (entryTag === 10) key = entry.string();
        else if (entryTag === 18) {
          entry.message((inner) => {
            value = readValue(inner, depth + 1);
          });
        } else entry.skip(entryTag);
      }
    });
    setOwn(object, key, value);
  }
  return object;
}

/** Sets a property whatever its name. */
export function setOwn<T>(object: Record<string, T>, key: string, value: T): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  else object[key] = value;
}

function readValue(reader: WireReader, depth: number): StructValue {
  if (depth > maxDepth) throw new MalformedMessage("metadata nested too deep");
  let value: StructValue = null;
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        reader.uint32();
        value = null;
        break;
      case 17:
        value = reader.double();
        break;
      case 26:
        value = reader.string();
        break;
      case 32:
        value = reader.bool();
        break;
      case 42:
        reader.message((inner) => {
          value = readStruct(inner, depth + 1);
        });
        break;
      case 50: {
        const list: StructValue[] = [];
        reader.message((inner) => {
          while (!inner.done) {
            const itemTag = inner.tag();
            if (itemTag === 10) {
              inner.message((item) => {
                list.push(readValue(item, depth + 1));
              });
            } else inner.skip(itemTag);
          }
        });
        value = list;
        break;
      }
      default:
        reader.skip(tag);
    }
  }
  return value;
}

/** Encodes an object as `google.protobuf.Struct`. */
export function encodeStruct(object: StructObject): Uint8Array {
  const writer = new WireWriter();
  for (const [key, value] of Object.entries(object)) {
    const entry = new WireWriter();
    entry.string(10, key);
    entry.bytes(18, encodeValue(value));
    writer.bytes(10, entry.finish());
  }
  return writer.finish();
}

function encodeValue(value: StructValue): Uint8Array {
  const writer = new WireWriter();
  if (value === null) writer.varintField(8, 0);
  else if (typeof value === "number") writer.double(17, value);
  else if (typeof value === "string") writer.string(26, value);
  else if (typeof value === "boolean") writer.varintField(32, value ? 1 : 0);
  else if (Array.isArray(value)) {
    const list = new WireWriter();
    for (const item of value as readonly StructValue[]) list.bytes(10, encodeValue(item));
    writer.bytes(50, list.finish());
  } else writer.bytes(42, encodeStruct(value as StructObject));
  return writer.finish();
}
