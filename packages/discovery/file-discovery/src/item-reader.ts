import { isMap, isScalar, isSeq, type Node, type YAMLMap } from "yaml";
import { type FileNotes, isEmpty, quoted } from "./file-notes.ts";
import type { YamlField, YamlFields } from "./yaml-fields.ts";

/** The fields of one map. */
export type ItemFields = ReadonlyMap<string, YamlField>;

/** Reads fields of items. One that cannot be used gives `undefined` and a problem. */
export class ItemReader {
  readonly notes: FileNotes;
  readonly fields: YamlFields;

  constructor(fields: YamlFields, notes: FileNotes) {
    this.fields = fields;
    this.notes = notes;
  }

  /** A name or namespace: text that can stand in `namespace/name` and in a log line. */
  identifier(item: ItemFields, key: string): string | undefined {
    const text = this.text(item, key);
    if (text === undefined) return undefined;
    if (/^[^\s/\p{Cc}]{1,253}$/u.test(text)) return text;
    return this.badField(item, key, `is ${quoted(text)}; use 1 to 253 characters without blanks and "/"`);
  }

  /** The text of a field; `undefined` when it is not given, or given as something else, which is a problem. */
  text(item: ItemFields, key: string): string | undefined {
    const node = item.get(key)?.value;
    if (isEmpty(node)) return undefined;
    if (isScalar(node) && typeof node.value === "string") return node.value;
    const fix = isScalar(node) ? `put it in quotes: ${quoted(node.source ?? String(node.value))}` : "use text";
    return this.badField(item, key, `is not text; ${fix}`);
  }

  /** A whole number of a range; `undefined` when it is not given, or given as something else, which is a problem. */
  integer(item: ItemFields, key: string, min: number, max: number): number | undefined {
    const node = item.get(key)?.value;
    if (isEmpty(node)) return undefined;
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    const given = isScalar(node) ? quoted(node.source ?? String(value)) : "no number";
    return this.badField(item, key, `is ${given}; use a whole number from ${min} to ${max}`);
  }

  /** The fields of a map; `undefined` when it is not given, or given as something else, which is a problem. */
  map(item: ItemFields, key: string): ItemFields | undefined {
    const node = item.get(key)?.value;
    if (isEmpty(node)) return undefined;
    return isMap(node) ? this.fields.of(node) : this.badField(item, key, "must be a map");
  }

  /** The items of a list; `undefined` when it is not given, or given as something else, which is a problem. */
  list(item: ItemFields, key: string): readonly (Node | undefined)[] | undefined {
    const node = item.get(key)?.value;
    if (isEmpty(node)) return undefined;
    if (isSeq(node)) return node.items.map((each) => this.fields.follow(each));
    return this.badField(item, key, "must be a list");
  }

  badField(item: ItemFields, key: string, text: string): undefined {
    const { value, keyNode } = item.get(key) ?? {};
    const at = value ?? keyNode;
    if (at !== undefined) this.notes.problem(at, `${key} ${text}`);
    return undefined;
  }

  /** Tells that a required field is missing, unless something else was said about it. */
  missing(item: ItemFields, key: string, map: YAMLMap): undefined {
    const field = item.get(key);
    if (field === undefined || isEmpty(field.value)) this.notes.problem(field?.keyNode ?? map, `${key} is missing`);
    return undefined;
  }

  warnOfOtherKeys(fields: ItemFields, known: readonly string[]): void {
    for (const [key, { keyNode }] of fields) {
      if (!known.includes(key)) {
        this.notes.warn(keyNode, `the key ${quoted(key)} is not known and has no effect; known: ${known.join(", ")}`);
      }
    }
  }

  /** Tells of items that say the same id; an item without one is left out. */
  warnOfRepeatedIds(ids: readonly (string | undefined)[], nodes: readonly (Node | undefined)[]): void {
    const placeOf = new Map<string, Node>();
    for (const [index, id] of ids.entries()) {
      const node = nodes[index];
      if (id === undefined || node === undefined) continue;
      const earlier = placeOf.get(id);
      if (earlier !== undefined) {
        const { line } = this.notes.placeOf(earlier.range?.[0] ?? 0);
        this.notes.warn(node, `${quoted(id)} is listed in line ${line} too; the last valid one counts`);
      }
      placeOf.set(id, node);
    }
  }
}
