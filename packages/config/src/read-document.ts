import { Composer, type Document, isAlias, isScalar, isSeq, Lexer, type Node, Parser, type YAMLMap } from "yaml";
import { type ConfigNode, itemPath, keyPath, type MapEntry, type Place } from "./config-node.ts";
import type { ProblemList } from "./config-problem.ts";
import { printable, quote } from "./quote.ts";
import { yamlOptions } from "./yaml-schema.ts";

/** Bounds of a configuration document. Real ones stay far below. */
export const documentLimits: {
  readonly characters: number;
  readonly scalarCharacters: number;
  readonly tokens: number;
  readonly depth: number;
  readonly nodes: number;
  readonly syntaxProblems: number;
} = {
  characters: 1_048_576,
  scalarCharacters: 65_536,
  tokens: 150_000,
  depth: 64,
  /** With aliases written out. */
  nodes: 100_000,
  syntaxProblems: 20,
};

const root: Place = { offset: 0, path: "" };

/**
 * Reads one YAML or JSON document into nodes with places.
 *
 * Returns `undefined` when there is nothing to go on with: a syntax error, a bound exceeded, no content. Never throws.
 */
export function readDocument(text: string, problems: ProblemList): ConfigNode | undefined {
  const documents = composeDocuments(text, problems);
  if (documents === undefined) return undefined;
  let broken = 0;
  let lastLineEnd = -1;
  for (const { pos, message } of documents
    .flatMap(({ errors, warnings }) => [...errors, ...warnings])
    .toSorted(byPosition)) {
    // Further errors of one line mostly follow from the first.
    if (pos[0] <= lastLineEnd) continue;
    const lineEnd = text.indexOf("\n", pos[0]);
    lastLineEnd = lineEnd === -1 ? text.length : lineEnd;
    if (++broken > documentLimits.syntaxProblems) break;
    problems.add("EPP_CONFIG_SYNTAX", { offset: pos[0], path: "" }, `This is not valid YAML: ${printable(message)}.`);
  }
  if (broken > 0) return undefined;

  const filled = documents.filter(
    ({ contents }) => contents !== null && !(isScalar(contents) && contents.value === null),
  );
  const [first, second] = filled;
  if (second !== undefined) {
    problems.add(
      "EPP_CONFIG_MULTIPLE_DOCUMENTS",
      { offset: second.contents?.range?.[0] ?? 0, path: "" },
      "The text holds more than one document; one is expected.",
      'Remove the "---" line or move this document to its own file.',
    );
  }
  const contents = first?.contents;
  if (contents === undefined || contents === null) {
    problems.add(
      "EPP_CONFIG_EMPTY",
      root,
      "The configuration has no content.",
      'Give at least "kind: EndpointPickerConfig", or no configuration at all for the built-in one.',
    );
    return undefined;
  }
  return new NodeReader(problems).read(contents);
}

function byPosition(a: { readonly pos: [number, number] }, b: { readonly pos: [number, number] }): number {
  return a.pos[0] - b.pos[0];
}

/** Composes the text, within bounds that are checked before the costly steps. */
function composeDocuments(text: string, problems: ProblemList): readonly Document.Parsed[] | undefined {
  const tooMuch = (offset: number, message: string): undefined => {
    problems.add("EPP_CONFIG_TOO_LARGE", { offset, path: "" }, message);
  };
  if (text.length > documentLimits.characters) {
    return tooMuch(0, `The text has ${text.length} characters; at most ${documentLimits.characters} are read.`);
  }
  const parser = new Parser();
  const tokens: ReturnType<Parser["next"]> extends Iterable<infer T> ? T[] : never = [];
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    if (++lexemes > documentLimits.tokens) {
      return tooMuch(parser.offset, `The text has more than ${documentLimits.tokens} words and signs.`);
    }
    if (lexeme.length > documentLimits.scalarCharacters && !/^[\s#]/.test(lexeme)) {
      const most = documentLimits.scalarCharacters;
      return tooMuch(
        parser.offset - lexeme.length,
        `A value has ${lexeme.length} characters; at most ${most} are read.`,
      );
    }
    // The parser's stack holds the document and each open collection.
    if (parser.stack.length > documentLimits.depth + 2) {
      return tooMuch(parser.offset, `Values are nested more than ${documentLimits.depth} levels deep.`);
    }
  }
  tokens.push(...parser.end());
  return [
    ...new Composer({ ...yamlOptions, prettyErrors: false, uniqueKeys: false }).compose(tokens),
  ] as Document.Parsed[];
}

/** Ends the reading of a document that cannot be used. The problem has been reported. */
class Unreadable extends Error {}

/** Turns the library's nodes into ours: resolves aliases and merge keys within a budget, checks keys. */
class NodeReader {
  readonly #problems: ProblemList;
  readonly #anchors = new Map<string, Node>();
  readonly #open = new Set<Node>();
  #nodes = 0;

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  read(contents: Node): ConfigNode | undefined {
    try {
      return this.#node(contents, "");
    } catch (thrown) {
      if (thrown instanceof Unreadable) return undefined;
      throw thrown;
    }
  }

  #fail(code: "EPP_CONFIG_TOO_LARGE" | "EPP_CONFIG_ALIAS", at: Place, message: string): never {
    this.#problems.add(code, at, message);
    throw new Unreadable();
  }

  #node(node: Node, path: string): ConfigNode {
    const at: Place = { offset: node.range?.[0] ?? 0, path };
    if (++this.#nodes > documentLimits.nodes) {
      this.#fail(
        "EPP_CONFIG_TOO_LARGE",
        at,
        `With aliases written out there are more than ${documentLimits.nodes} values.`,
      );
    }
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) {
        this.#fail(
          "EPP_CONFIG_ALIAS",
          at,
          `The alias ${quote(`*${node.source}`)} stands for nothing: no such anchor before it.`,
        );
      }
      if (this.#open.has(target)) {
        this.#fail(
          "EPP_CONFIG_ALIAS",
          at,
          `The alias ${quote(`*${node.source}`)} stands for a value that contains the alias.`,
        );
      }
      return this.#node(target, path);
    }
    if ("anchor" in node && typeof node.anchor === "string") this.#anchors.set(node.anchor, node);
    if (isScalar(node)) {
      const { value, source } = node;
      if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
        return { kind: "scalar", value, source: source ?? String(value), at };
      }
      return { kind: "scalar", value: null, source: source ?? "", at };
    }
    if (this.#open.size >= documentLimits.depth) {
      this.#fail("EPP_CONFIG_TOO_LARGE", at, `Values are nested more than ${documentLimits.depth} levels deep.`);
    }
    this.#open.add(node);
    const read: ConfigNode = isSeq<Node>(node)
      ? { kind: "list", items: node.items.map((item, index) => this.#node(item, itemPath(path, index))), at }
      : { kind: "map", entries: this.#entries(node as YAMLMap<unknown, Node | null>, path), at };
    this.#open.delete(node);
    return read;
  }

  #entries(map: YAMLMap<unknown, Node | null>, path: string): ReadonlyMap<string, MapEntry> {
    const entries = new Map<string, MapEntry>();
    const merged: MapEntry[] = [];
    for (const pair of map.items) {
      const keyNode = pair.key;
      if (!isScalar(keyNode)) {
        const offset = (keyNode as Node | null)?.range?.[0] ?? map.range?.[0] ?? 0;
        this.#problems.add(
          "EPP_CONFIG_BAD_KEY",
          { offset, path },
          "A key must be a text; this one is a list, a map or an alias.",
        );
        continue;
      }
      const key = keyNode.source ?? String(keyNode.value);
      const keyAt: Place = { offset: keyNode.range?.[0] ?? 0, path: keyPath(path, key) };
      if (typeof keyNode.anchor === "string") this.#anchors.set(keyNode.anchor, keyNode);
      if (key === "<<" && keyNode.type === "PLAIN") {
        merged.push(...this.#mergedEntries(pair.value, keyAt, path));
        continue;
      }
      if (key === "__proto__") {
        this.#problems.add("EPP_CONFIG_BAD_KEY", keyAt, 'The key "__proto__" is not allowed.');
        continue;
      }
      const value: ConfigNode =
        pair.value === null
          ? { kind: "scalar", value: null, source: "", at: keyAt }
          : this.#node(pair.value, keyAt.path);
      if (entries.has(key)) {
        this.#problems.add(
          "EPP_CONFIG_DUPLICATE_FIELD",
          keyAt,
          `${quote(key)} is given twice in one map.`,
          "Keep one of both.",
        );
        continue;
      }
      entries.set(key, { key, keyAt, value });
    }
    // What the map says itself wins, wherever the merge key stands; then the earlier of several sources.
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry);
    return entries;
  }

  #mergedEntries(value: Node | null, keyAt: Place, path: string): readonly MapEntry[] {
    const read = value === null ? undefined : this.#node(value, path);
    const sources = read?.kind === "list" ? read.items : [read];
    return sources.flatMap((source) => {
      if (source?.kind !== "map") {
        this.#fail("EPP_CONFIG_ALIAS", keyAt, 'The merge key "<<" takes a map or a list of maps.');
      }
      return [...source.entries.values()];
    });
  }
}
