import { isMap, isScalar, isSeq, LineCounter, type Node, type YAMLMap } from "yaml";
import { composeYaml } from "./compose-yaml.ts";
import { type EndpointsFile, type FileNote, type ListedEndpoint, type ListedItem, listedId } from "./endpoints-file.ts";
import { hostProblem } from "./host-name.ts";
import { type YamlField, YamlFields } from "./yaml-fields.ts";

const maxNotes = 100;
const itemKeys = ["name", "namespace", "address", "port", "metricsAddress", "metricsPort", "labels"];

/** Reads the text of an endpoints file. Never throws; tells all problems with their places. */
export function readEndpoints(text: string): EndpointsFile {
  return new EndpointsReader().read(text);
}

/** Reads one file. Fields that cannot be used give `undefined` and a problem. */
class EndpointsReader {
  readonly #lines: LineCounter = new LineCounter();
  readonly #problems: FileNote[] = [];
  readonly #warnings: FileNote[] = [];
  #problemCount = 0;

  read(text: string): EndpointsFile {
    const items = this.#items(text);
    const byPlace = (a: FileNote, b: FileNote): number => a.line - b.line || a.column - b.column;
    return {
      items,
      problems: this.#problems.sort(byPlace),
      problemCount: this.#problemCount,
      warnings: this.#warnings.sort(byPlace),
    };
  }

  #items(text: string): readonly ListedItem[] | undefined {
    let document: ReturnType<typeof composeYaml>;
    try {
      document = composeYaml(text, this.#lines);
    } catch (thrown) {
      this.#problemAt(
        0,
        `the file cannot be read as YAML: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      );
      return undefined;
    }
    if (!("contents" in document)) {
      for (const { offset, text: problem } of document) this.#problemAt(offset, problem);
      return undefined;
    }
    const fields = new YamlFields(document, (at, problem) => this.#problem(at, problem));
    if (this.#problemCount > 0) return undefined;
    const { contents } = document;
    if (!isMap(contents)) {
      this.#problemAt(contents?.range[0] ?? 0, 'the file must hold a map with the key "endpoints"');
      return undefined;
    }
    const root = fields.of(contents);
    this.#warnOfOtherKeys(root, ["endpoints"]);
    const endpoints = root.get("endpoints");
    if (endpoints === undefined) {
      this.#problem(contents, 'the key "endpoints" is missing; for no endpoints at all write "endpoints: []"');
      return undefined;
    }
    const list = endpoints.value;
    if (!isSeq(list)) {
      this.#problem(
        list ?? endpoints.keyNode,
        isEmpty(list)
          ? '"endpoints" has no value; for no endpoints at all write "endpoints: []"'
          : '"endpoints" must be a list',
      );
      return undefined;
    }
    const items = list.items.map((item) => this.#item(fields, fields.follow(item), list));
    this.#warnOfRepeatedIds(
      items,
      list.items.map((item) => fields.follow(item)),
    );
    return items;
  }

  #item(fields: YamlFields, node: Node | undefined, list: Node): ListedItem {
    if (!isMap(node)) {
      this.#problem(node ?? list, "an endpoint must be a map with name, address and port");
      return { id: undefined, endpoint: undefined };
    }
    const problemsBefore = this.#problemCount;
    const item = fields.of(node);
    this.#warnOfOtherKeys(item, itemKeys);
    const name = this.#identifier(item, "name") ?? this.#missing(item, "name", node);
    const namespace = isEmpty(item.get("namespace")?.value) ? "default" : this.#identifier(item, "namespace");
    const address = this.#host(item, "address") ?? this.#missing(item, "address", node);
    const port = this.#port(item, "port") ?? this.#missing(item, "port", node);
    const metricsAddress = this.#host(item, "metricsAddress") ?? address;
    const metricsPort = this.#port(item, "metricsPort") ?? port;
    const labels = this.#labels(item, fields);
    const id = name === undefined || namespace === undefined ? undefined : listedId(namespace, name);
    const complete: Partial<ListedEndpoint> = {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(address === undefined ? {} : { address }),
      ...(port === undefined ? {} : { port }),
      ...(metricsAddress === undefined ? {} : { metricsAddress }),
      ...(metricsPort === undefined ? {} : { metricsPort }),
      labels,
    };
    // Without a problem every field was read.
    return { id, endpoint: this.#problemCount > problemsBefore ? undefined : (complete as ListedEndpoint) };
  }

  /** A name or namespace: text that can stand in `namespace/name` and in a log line. */
  #identifier(item: ReadonlyMap<string, YamlField>, key: string): string | undefined {
    const text = this.#text(item, key);
    if (text === undefined) return undefined;
    if (/^[^\s/\p{Cc}]{1,253}$/u.test(text)) return text;
    return this.#badField(item, key, `is ${quoted(text)}; use 1 to 253 characters without blanks and "/"`);
  }

  #host(item: ReadonlyMap<string, YamlField>, key: string): string | undefined {
    const text = this.#text(item, key);
    const problem = text === undefined ? undefined : hostProblem(text);
    if (text === undefined || problem === undefined) return text;
    return this.#badField(item, key, `is ${quoted(text)}, which ${problem}`);
  }

  #port(item: ReadonlyMap<string, YamlField>, key: string): number | undefined {
    const node = item.get(key)?.value;
    if (isEmpty(node)) return undefined;
    const value = isScalar(node) ? node.value : undefined;
    const port = typeof value === "string" && /^\d{1,5}$/.test(value) ? Number(value) : value;
    if (typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
    const given = typeof value === "string" || typeof value === "number" ? quoted(String(value)) : "no number";
    return this.#badField(item, key, `is ${given}; use a number from 1 to 65535`);
  }

  #labels(item: ReadonlyMap<string, YamlField>, fields: YamlFields): Readonly<Record<string, string>> {
    const node = item.get("labels")?.value;
    if (isEmpty(node)) return {};
    if (!isMap(node)) {
      this.#badField(item, "labels", "must be a map of label names to values");
      return {};
    }
    return Object.fromEntries(this.#labelEntries(fields.of(node)));
  }

  *#labelEntries(labels: ReadonlyMap<string, YamlField>): Generator<readonly [string, string]> {
    for (const [name, { keyNode, value }] of labels) {
      if (isEmpty(value)) yield [name, ""];
      else if (isScalar(value) && typeof value.value === "string") yield [name, value.value];
      else {
        const fix = isScalar(value) ? `put it in quotes: ${quoted(value.source ?? String(value.value))}` : "use text";
        this.#problem(value ?? keyNode, `label ${quoted(name)} is not text; ${fix}`);
      }
    }
  }

  /** The text of a field; `undefined` when it is not given, or given as something else, which is a problem. */
  #text(item: ReadonlyMap<string, YamlField>, key: string): string | undefined {
    const node = item.get(key)?.value;
    if (isEmpty(node)) return undefined;
    if (isScalar(node) && typeof node.value === "string") return node.value;
    const fix = isScalar(node) ? `put it in quotes: ${quoted(node.source ?? String(node.value))}` : "use text";
    return this.#badField(item, key, `is not text; ${fix}`);
  }

  #badField(item: ReadonlyMap<string, YamlField>, key: string, text: string): undefined {
    const { value, keyNode } = item.get(key) ?? {};
    const at = value ?? keyNode;
    if (at !== undefined) this.#problem(at, `${key} ${text}`);
    return undefined;
  }

  /** Tells that a required field is missing, unless something else was said about it. */
  #missing(item: ReadonlyMap<string, YamlField>, key: string, map: YAMLMap): undefined {
    const field = item.get(key);
    if (field === undefined || isEmpty(field.value)) this.#problem(field?.keyNode ?? map, `${key} is missing`);
    return undefined;
  }

  #warnOfOtherKeys(fields: ReadonlyMap<string, YamlField>, known: readonly string[]): void {
    for (const [key, { keyNode }] of fields) {
      if (!known.includes(key)) {
        this.#warn(keyNode, `the key ${quoted(key)} is not known and has no effect; known: ${known.join(", ")}`);
      }
    }
  }

  #warnOfRepeatedIds(items: readonly ListedItem[], nodes: readonly (Node | undefined)[]): void {
    const placeOf = new Map<string, Node>();
    for (const [index, { id }] of items.entries()) {
      const node = nodes[index];
      if (id === undefined || node === undefined) continue;
      const earlier = placeOf.get(id);
      if (earlier !== undefined) {
        const { line } = this.#place(earlier.range?.[0] ?? 0);
        this.#warn(node, `${quoted(id)} is listed in line ${line} too; the last valid one counts`);
      }
      placeOf.set(id, node);
    }
  }

  #problem(at: Node, text: string): void {
    this.#problemAt(at.range?.[0] ?? 0, text);
  }

  #problemAt(offset: number, text: string): void {
    this.#problemCount++;
    if (this.#problems.length < maxNotes) this.#problems.push({ ...this.#place(offset), text: printable(text) });
  }

  #warn(at: Node, text: string): void {
    if (this.#warnings.length < maxNotes) {
      this.#warnings.push({ ...this.#place(at.range?.[0] ?? 0), text: printable(text) });
    }
  }

  #place(offset: number): { readonly line: number; readonly column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

function isEmpty(node: Node | undefined): boolean {
  return node === undefined || (isScalar(node) && (node.value === null || node.value === ""));
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

function printable(text: string): string {
  return text.slice(0, 500).replace(/\p{Cc}/gu, " ");
}
