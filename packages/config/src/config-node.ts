import { quote } from "./quote.ts";

/** Where something stands: its offset in the text and its way from the root (`plugins[0].name`; empty for the root). */
export interface Place {
  readonly offset: number;
  readonly path: string;
}

/** A value of the configuration file with its place. Aliases and merge keys are resolved. */
export type ConfigNode = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** As written, without quotes. */
  readonly source: string;
  readonly at: Place;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: readonly ConfigNode[];
  readonly at: Place;
}

export interface MapNode {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, MapEntry>;
  readonly at: Place;
}

export interface MapEntry {
  readonly key: string;
  readonly keyAt: Place;
  readonly value: ConfigNode;
}

/** What JSON can hold. Numbers may be NaN or infinite, since YAML can write them. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Path of an entry of the map at `path`. */
export function keyPath(path: string, key: string): string {
  if (!/^[\w$-]{1,80}$/.test(key)) return `${path}[${quote(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

/** Path of an item of the list at `path`. */
export function itemPath(path: string, index: number): string {
  return `${path}[${index}]`;
}

/** The node's value without places. */
export function nodeValue(node: ConfigNode): JsonValue {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(nodeValue);
  const object: Record<string, JsonValue> = {};
  for (const { key, value } of node.entries.values()) object[key] = nodeValue(value);
  return object;
}
