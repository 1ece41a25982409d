import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Scalar, visit, type YAMLMap } from "yaml";

/** One key of a map with its value. */
export interface YamlField {
  readonly keyNode: Node;
  /** Aliases are followed. `undefined` for a key without a value. */
  readonly value: Node | undefined;
}

/** Fields read from one document, those that merge keys bring included. */
const maxFields = 500_000;
const maxMergeDepth = 8;

/** Reads maps of one document: follows aliases and merge keys within bounds, tells of keys that cannot be used. */
export class YamlFields {
  readonly #targets: ReadonlyMap<Node, Node>;
  readonly #problem: (at: Node, text: string) => void;
  #fields = 0;

  constructor(document: Document.Parsed, problem: (at: Node, text: string) => void) {
    this.#targets = aliasTargets(document, problem);
    this.#problem = problem;
  }

  /** The node itself, or what it is an alias of. */
  follow(node: unknown): Node | undefined {
    if (isAlias(node)) return this.#targets.get(node);
    return isScalar(node) || isMap(node) || isSeq(node) ? node : undefined;
  }

  /** The fields of a map by key, in order; of a key given twice, the first. */
  of(map: YAMLMap): Map<string, YamlField> {
    const fields = new Map<string, YamlField>();
    this.#addFields(map, fields, 0);
    return fields;
  }

  #addFields(map: YAMLMap, fields: Map<string, YamlField>, depth: number): void {
    const own = new Set<string>();
    const merged: Node[] = [];
    for (const pair of map.items) {
      if (++this.#fields > maxFields) {
        this.#problem(map, `the file has more than ${maxFields} fields, those behind aliases included`);
        return;
      }
      const { key: keyNode, value: valueNode } = pair;
      if (!isScalar(keyNode)) {
        this.#problem(map, "a key is not plain text");
        continue;
      }
      const value = this.follow(valueNode);
      if (isMergeKey(keyNode)) {
        if (value !== undefined) merged.push(value);
        continue;
      }
      const key = String(keyNode.value);
      if (own.has(key)) this.#problem(keyNode, `the key ${JSON.stringify(key.slice(0, 80))} is given twice`);
      else if (!fields.has(key)) fields.set(key, { keyNode, value });
      own.add(key);
    }
    for (const source of merged) this.#merge(source, fields, depth + 1);
  }

  #merge(source: Node, fields: Map<string, YamlField>, depth: number): void {
    if (depth > maxMergeDepth) {
      this.#problem(source, `merge keys are nested more than ${maxMergeDepth} levels deep`);
      return;
    }
    const sources = isSeq(source) ? source.items.map((item) => this.follow(item)) : [source];
    for (const each of sources) {
      if (isMap(each)) this.#addFields(each, fields, depth);
      else this.#problem(source, "a merge key needs a map or a list of maps");
    }
  }
}

function isMergeKey(key: Scalar): boolean {
  return key.value === "<<" && key.type === "PLAIN";
}

/** What each alias stands for: the node that carried its anchor last before it. */
function aliasTargets(document: Document.Parsed, problem: (at: Node, text: string) => void): ReadonlyMap<Node, Node> {
  const byAnchor = new Map<string, Node>();
  const targets = new Map<Node, Node>();
  visit(document, {
    Alias: (_key, alias) => {
      const target = byAnchor.get(alias.source);
      if (target === undefined) problem(alias, `no anchor "${alias.source.slice(0, 80)}" stands before this alias`);
      else targets.set(alias, target);
    },
    Value: (_key, node) => {
      if (node.anchor !== undefined) byAnchor.set(node.anchor, node);
    },
  });
  return targets;
}
