import type { Headers } from "../headers.ts";
import type { Parser } from "../plugin/parser.ts";
import type { NamedPlugin } from "../plugin/roles.ts";

/** Path to use when the proxy tells none. */
const defaultPath = "/v1/completions";

/** The request's path without query string: `:path`, else what a proxy noted before rewriting it. */
export function requestPath(headers: Headers | undefined): string {
  const path =
    headers?.get(":path") ?? headers?.get("x-original-path") ?? headers?.get("x-forwarded-path") ?? defaultPath;
  const query = path.indexOf("?");
  return query === -1 ? path : path.slice(0, query);
}

/**
 * Finds the parser for a path: the longest claimed suffix that starts at a path segment; among equals the parser listed
 * first; without a match the first parser that claims nothing.
 */
export class ParserSelection {
  readonly #claims: readonly { readonly segments: string; readonly parser: NamedPlugin<Parser> }[];
  readonly #fallback: NamedPlugin<Parser> | undefined;

  constructor(parsers: readonly NamedPlugin<Parser>[]) {
    this.#fallback = parsers.find((parser) => parser.instance.claims.length === 0);
    this.#claims = parsers
      .flatMap((parser) => parser.instance.claims.map((claim) => ({ segments: `/${trimSlashes(claim)}`, parser })))
      .sort((a, b) => b.segments.length - a.segments.length);
  }

  select(path: string): NamedPlugin<Parser> | undefined {
    const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
    const absolute = trimmed.startsWith("/") ? trimmed : `/${trimmed}`;
    for (const { segments, parser } of this.#claims) {
      if (absolute.endsWith(segments)) return parser;
    }
    return this.#fallback;
  }
}

function trimSlashes(text: string): string {
  return text.replace(/^\/+|\/+$/g, "");
}
