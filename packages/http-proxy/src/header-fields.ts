import type { HeaderMutation, Headers } from "@pointsman/core";

/** Fields that concern one connection, and framing, which each side of the proxy does itself. */
const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** Tells whether a field (name in lower case) stays on this connection. `listed` are the names in `Connection`. */
export function isConnectionField(name: string, listed: ReadonlySet<string> | undefined): boolean {
  return connectionFields.has(name) || listed?.has(name) === true;
}

/** Names listed in `Connection` beyond the usual two; `undefined` when there are none. */
export function listedByConnection(value: string | undefined): ReadonlySet<string> | undefined {
  if (value === undefined) return undefined;
  let listed: Set<string> | undefined;
  for (const entry of value.split(",")) {
    const name = entry.trim().toLowerCase();
    if (name === "" || name === "close" || name === "keep-alive") continue;
    listed ??= new Set();
    listed.add(name);
  }
  return listed;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const forbiddenInValue = /[\x00-\x08\x0a-\x1f\x7f]/;
const beyondOneByte = /[\u0100-\uffff]/;

export function isToken(text: string): boolean {
  return token.test(text);
}

/** Control characters could end the field or the whole head early. */
export function isFieldValue(text: string): boolean {
  return !forbiddenInValue.test(text);
}

/** The characters that stand for the bytes of a value on the wire: text beyond one byte per character goes as UTF-8. */
function wireText(value: string): string {
  return beyondOneByte.test(value) ? Buffer.from(value, "utf8").toString("latin1") : value;
}

/**
 * Applies a mutation and returns names and values in turn. Pseudo headers and `content-length` are left out: the caller
 * writes the request line, the status line and the framing.
 *
 * A field of the mutation that HTTP forbids is left out and its name told to `refused`.
 */
export function mutatedFields(
  headers: Headers,
  mutation: HeaderMutation | undefined,
  refused: (name: string) => void,
): string[] {
  const fields: string[] = [];
  const set: string[] = [];
  const replaced: string[] = [];
  if (mutation !== undefined) {
    for (const [name, value] of mutation.set) {
      const lowered = name.toLowerCase();
      if (lowered === "content-length") continue;
      if (!isToken(lowered) || !isFieldValue(value) || connectionFields.has(lowered) || lowered === "trailer") {
        refused(name);
        continue;
      }
      replaced.push(lowered);
      set.push(lowered, wireText(value));
    }
  }
  const { names, values } = headers;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name.charCodeAt(0) === 58 || name === "content-length") continue;
    if (mutation?.remove.includes(name) === true || replaced.includes(name)) continue;
    fields.push(name, values[i]!);
  }
  for (const part of set) fields.push(part);
  return fields;
}

/** Splits `name: value` and takes the blanks around the value away. A text says what is wrong. */
export function parseField(line: string): readonly [name: string, value: string] | string {
  const colon = line.indexOf(":");
  if (colon === -1) return "a header line has no colon";
  const name = line.slice(0, colon);
  if (!isToken(name)) return "a header name is not a token";
  let start = colon + 1;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  const value = line.slice(start, end);
  if (!isFieldValue(value)) return `the value of header "${name}" has control characters`;
  return [name.toLowerCase(), value];
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Fields that must not come behind a body: framing, routing, authentication, and what describes the content. */
const notInTrailers: ReadonlySet<string> = new Set([
  "authorization",
  "cache-control",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "expect",
  "host",
  "max-forwards",
  "pragma",
  "range",
  "set-cookie",
  "trailer",
  "x-forwarded-for",
  "x-forwarded-proto",
]);

/** The trailer fields that may pass on, as `name: value` lines. */
export function trailerLines(
  fields: readonly (readonly [name: string, value: string])[],
  alsoForbidden?: ReadonlySet<string>,
): string {
  let lines = "";
  for (const [name, value] of fields) {
    const lowered = name.toLowerCase();
    if (connectionFields.has(lowered) || notInTrailers.has(lowered) || alsoForbidden?.has(lowered) === true) continue;
    if (!isToken(lowered) || !isFieldValue(value)) continue;
    lines += `${lowered}: ${value}\r\n`;
  }
  return lines;
}
