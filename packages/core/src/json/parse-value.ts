import { decodeText } from "./decode-text.ts";
import { elements, type JsonCursor, members } from "./json-cursor.ts";
import type { JsonValue } from "./json-document.ts";
import { numberValue } from "./number-value.ts";
import { stringValue } from "./string-value.ts";

/**
 * Builds the JavaScript value of a part, for small parts: everything in it is allocated.
 * Shape: as JSON.parse gives it, but strings and keys are those of `stringValue` and `key()`, U+FFFD included.
 * Errors: never throws. Cost: that of JSON.parse when the part holds no backslash, several times that when it does.
 */
export function parseValue(value: JsonValue): unknown {
  const text = decodeText(value.document.bytes, value.start, value.end);
  // JSON.parse is not used for texts with escapes: from V8 12.8 on it may read an escaped key as another key that an
  // earlier text had in the same place (nodejs/node issue 63785), and it keeps lone surrogates.
  return text.includes("\\") ? buildValue(value) : JSON.parse(text);
}

/** A container whose members are being built. */
interface OpenContainer {
  readonly cursor: JsonCursor;
  readonly built: unknown[] | Record<string, unknown>;
}

/** Builds without recursion, since the nesting is the sender's choice. */
function buildValue(value: JsonValue): unknown {
  const open: OpenContainer[] = [];
  const root = begin(value, open);
  for (let container = open.at(-1); container !== undefined; container = open.at(-1)) {
    const { cursor, built } = container;
    if (!cursor.next()) {
      open.pop();
    } else if (Array.isArray(built)) {
      built.push(begin(cursor, open));
    } else {
      setMember(built, cursor.key() ?? "", begin(cursor, open));
    }
  }
  return root;
}

/** Gives the value of a scalar, or an empty container that is put on `open` to be filled. */
function begin(value: JsonValue, open: OpenContainer[]): unknown {
  switch (value.kind) {
    case "object": {
      const built: Record<string, unknown> = {};
      open.push({ cursor: members(value), built });
      return built;
    }
    case "array": {
      const built: unknown[] = [];
      open.push({ cursor: elements(value), built });
      return built;
    }
    case "string":
      return stringValue(value);
    case "number":
      return numberValue(value);
    case "null":
      return null;
    default:
      return value.kind === "true";
  }
}

function setMember(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}
