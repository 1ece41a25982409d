import { errorText } from "@pointsman/core";
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";

/** A value of a configuration and where it stands, as `file:line:column`. */
export type ConfigNode =
  | { readonly kind: "scalar"; readonly value: string | number | boolean | null; readonly where: string }
  | { readonly kind: "list"; readonly items: readonly ConfigNode[]; readonly where: string }
  | { readonly kind: "map"; readonly entries: readonly ConfigEntry[]; readonly where: string };

export interface ConfigEntry {
  /** In lower case: keys differ in more than case. */
  readonly key: string;
  readonly keyWhere: string;
  readonly node: ConfigNode;
}

const maxCharacters = 1024 * 1024;
/** With aliases written out. */
const maxNodes = 10_000;
const maxDepth = 32;
const maxSyntaxProblems = 20;

/**
 * Reads a YAML or JSON document. `name` is how messages call it. Missing values: undefined when it is empty. What is wrong
 * goes to `problems`; "unreadable" when there is nothing to go on with. Never throws.
 */
export function readDocument(text: string, name: string, problems: string[]): ConfigNode | undefined | "unreadable" {
  if (text.length > maxCharacters) {
    problems.push(`${name}: has ${text.length} characters; at most ${maxCharacters} are read`);
    return "unreadable";
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const placeOf = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  // Further errors of one line mostly follow from the first.
  const broken = new Map(document.errors.toReversed().map((error) => [lines.linePos(error.pos[0]).line, error]));
  for (const error of [...broken.values()].toReversed().slice(0, maxSyntaxProblems)) {
    problems.push(`${placeOf(error.pos[0])}: ${error.message}`);
  }
  if (broken.size > 0) return "unreadable";
  if (document.contents === null) return undefined;
  try {
    const node = new NodeReader(document, placeOf, problems).read(document.contents, 0);
    return node.kind === "scalar" && node.value === null ? undefined : node;
  } catch (thrown: unknown) {
    problems.push(`${name}: ${errorText(thrown)}`);
    return "unreadable";
  }
}

class NodeReader {
  readonly #document: Document.Parsed;
  readonly #placeOf: (offset: number) => string;
  readonly #problems: string[];
  #nodes = 0;

  constructor(document: Document.Parsed, placeOf: (offset: number) => string, problems: string[]) {
    this.#document = document;
    this.#placeOf = placeOf;
    this.#problems = problems;
  }

  read(node: Node | null, depth: number, emptyAt = ""): ConfigNode {
    if (node === null) return { kind: "scalar", value: null, where: emptyAt };
    const where = this.#placeOf(node.range?.[0] ?? 0);
    if (++this.#nodes > maxNodes) throw new Error(`more than ${maxNodes} values, aliases written out`);
    if (depth > maxDepth) throw new Error(`values are nested more than ${maxDepth} levels deep`);
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined) throw new Error(`the alias *${node.source} stands for nothing`);
      return this.read(target, depth + 1);
    }
    if (isSeq<Node | null>(node)) {
      return { kind: "list", items: node.items.map((item) => this.read(item, depth + 1, where)), where };
    }
    if (isMap<unknown, Node | null>(node)) {
      const entries: ConfigEntry[] = [];
      const seen = new Set<string>();
      for (const pair of node.items) {
        const keyNode = pair.key;
        if (!isScalar(keyNode)) {
          this.#problems.push(`${where}: a key is a list, a map or an alias; it must be a text`);
          continue;
        }
        const key = String(keyNode.value).toLowerCase();
        const keyWhere = this.#placeOf(keyNode.range?.[0] ?? 0);
        if (seen.has(key)) {
          this.#problems.push(`${keyWhere}: ${JSON.stringify(key.slice(0, 64))} is given twice`);
          continue;
        }
        seen.add(key);
        entries.push({ key, keyWhere, node: this.read(pair.value, depth + 1, keyWhere) });
      }
      return { kind: "map", entries, where };
    }
    const value = isScalar(node) ? node.value : null;
    const plain = typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
    return { kind: "scalar", value: plain, where };
  }
}
