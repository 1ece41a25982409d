import { isUtf8 } from "node:buffer";
import { ApiError } from "./api-error.ts";

/** Parses a request body that must be a JSON object. Throws `ApiError` 400 that says what is wrong and where. */
export function parseJsonObject(body: Buffer): Readonly<Record<string, unknown>> {
  if (body.length === 0) throw new ApiError(400, "The request has no body; a JSON object is expected.");
  if (!isUtf8(body)) throw new ApiError(400, "The request body is not valid UTF-8.");
  const text = body.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError(400, `The request body is not valid JSON: ${describeJsonError(text)}.`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  const kind = Array.isArray(value) ? "an array" : value === null ? "null" : `a ${typeof value}`;
  throw new ApiError(400, `The request body is ${kind}; a JSON object is expected.`);
}

const maxDepth = 10_000;
const blank = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const literal = /true|false|null/y;

/** Says what the first syntax error of a text is and where, e.g. `expected "," or "}" but found "x" at line 1, column 9`. */
export function describeJsonError(text: string): string {
  let at = 0;
  const open: ("{" | "[")[] = [];
  /** What may come next. */
  let want: "value" | "value or ]" | "key" | "key or }" | "colon" | "end of item" = "value";
  const match = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const problem = (expected: string): string => {
    const lines = text.slice(0, at).split("\n");
    const found = at >= text.length ? "the end" : JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0));
    return `expected ${expected} but found ${found} at line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
  };
  const valueProblem = (): string | undefined => {
    const first = text[at];
    if (first === '"') {
      const end = endOfString(text, at);
      at = end.at;
      return end.closed ? undefined : problem(end.expected);
    }
    return match(literal) || match(number) ? undefined : problem("a value");
  };
  for (;;) {
    match(blank);
    const next = text[at];
    if (want === "end of item") {
      const container = open.at(-1);
      if (container === undefined) return at < text.length ? problem("the end") : "it cannot be parsed";
      const close = container === "{" ? "}" : "]";
      if (next === close) open.pop();
      else if (next === ",") want = container === "{" ? "key" : "value";
      else return problem(`"," or "${close}"`);
      at += 1;
    } else if (want === "colon") {
      if (next !== ":") return problem('":"');
      at += 1;
      want = "value";
    } else if (want === "key" || want === "key or }") {
      if (next === "}" && want === "key or }") {
        open.pop();
        at += 1;
        want = "end of item";
        continue;
      }
      if (next !== '"') return problem(want === "key" ? "a key in double quotes" : 'a key in double quotes or "}"');
      const wrong = valueProblem();
      if (wrong !== undefined) return wrong;
      want = "colon";
    } else if (next === "{" || next === "[") {
      if (open.length >= maxDepth) return `it is nested deeper than ${maxDepth} levels`;
      open.push(next);
      at += 1;
      want = next === "{" ? "key or }" : "value or ]";
    } else if (next === "]" && want === "value or ]") {
      open.pop();
      at += 1;
      want = "end of item";
    } else {
      const wrong = valueProblem();
      if (wrong !== undefined) return wrong;
      want = "end of item";
    }
  }
}

/** Scans the string that starts at `start`. When it is broken, `at` is the place of the error. */
function endOfString(
  text: string,
  start: number,
): { readonly at: number; readonly closed: boolean; readonly expected: string } {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return { at: at + 1, closed: true, expected: "" };
    if (code < 0x20) return { at, closed: false, expected: "an escaped control character" };
    if (code !== 0x5c) continue;
    const escaped = text[at + 1];
    if (escaped === "u") {
      if (!/^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6))) {
        return { at: at + 2, closed: false, expected: "four hexadecimal digits" };
      }
      at += 5;
    } else if (escaped !== undefined && '"\\/bfnrt'.includes(escaped)) {
      at += 1;
    } else {
      return { at: at + 1, closed: false, expected: "a valid escape" };
    }
  }
  return { at: text.length, closed: false, expected: "a closing double quote" };
}
