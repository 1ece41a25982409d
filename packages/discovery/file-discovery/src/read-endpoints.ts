import { isMap, isScalar, isSeq, type Node } from "yaml";
import { composeYaml } from "./compose-yaml.ts";
import { type EndpointsFile, type ListedEndpoint, type ListedItem, listedId } from "./endpoints-file.ts";
import { FileNotes, isEmpty, quoted } from "./file-notes.ts";
import { hostProblem } from "./host-name.ts";
import { type ItemFields, ItemReader } from "./item-reader.ts";
import { readObjectives, readRewrites } from "./read-policies.ts";
import { YamlFields } from "./yaml-fields.ts";

const rootKeys = ["endpoints", "objectives", "modelRewrites"];
const itemKeys = ["name", "namespace", "address", "port", "metricsAddress", "metricsPort", "labels"];

/** How items are read. */
export interface ReadOptions {
  /** Labels `metricsAddress` and `metricsPort` say where the metrics page is, if no keys of that name do. */
  readonly metricsLabels: boolean;
}

/** Reads the text of an endpoints file. Never throws; tells all problems with their places. */
export function readEndpoints(text: string, options: ReadOptions = { metricsLabels: false }): EndpointsFile {
  const notes = new FileNotes();
  const lists = readLists(text, notes, options);
  return {
    items: lists?.items,
    objectives: lists?.objectives ?? [],
    modelRewrites: lists?.modelRewrites ?? [],
    problems: notes.problems,
    problemCount: notes.problemCount,
    warnings: notes.warnings,
  };
}

function readLists(
  text: string,
  notes: FileNotes,
  options: ReadOptions,
): Required<Pick<EndpointsFile, "items" | "objectives" | "modelRewrites">> | undefined {
  let document: ReturnType<typeof composeYaml>;
  try {
    document = composeYaml(text, notes.lines);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    notes.problemAt(0, `the file cannot be read as YAML: ${why}`);
    return undefined;
  }
  if (!("contents" in document)) {
    for (const { offset, text: problem } of document) notes.problemAt(offset, problem);
    return undefined;
  }
  const fields = new YamlFields(document, (at, problem) => notes.problem(at, problem));
  if (notes.problemCount > 0) return undefined;
  const { contents } = document;
  if (!isMap(contents)) {
    notes.problemAt(contents?.range[0] ?? 0, 'the file must hold a map with the key "endpoints"');
    return undefined;
  }
  const root = fields.of(contents);
  const reader = new ItemReader(fields, notes);
  reader.warnOfOtherKeys(root, rootKeys);
  const endpoints = root.get("endpoints");
  if (endpoints === undefined) {
    notes.problem(contents, 'the key "endpoints" is missing; for no endpoints at all write "endpoints: []"');
    return undefined;
  }
  const list = endpoints.value;
  if (!isSeq(list)) {
    notes.problem(
      list ?? endpoints.keyNode,
      isEmpty(list)
        ? '"endpoints" has no value; for no endpoints at all write "endpoints: []"'
        : '"endpoints" must be a list',
    );
    return undefined;
  }
  const nodes = list.items.map((item) => fields.follow(item));
  const items = nodes.map((node) => new EndpointReader(reader, options).read(node, list));
  reader.warnOfRepeatedIds(
    items.map(({ id }) => id),
    nodes,
  );
  const [objectives, modelRewrites] = [readObjectives(root, reader), readRewrites(root, reader)];
  // What is not even a list says of no object whether it stays.
  return objectives === undefined || modelRewrites === undefined ? undefined : { items, objectives, modelRewrites };
}

/** Reads one item of the list of endpoints. */
class EndpointReader {
  readonly #reader: ItemReader;
  readonly #options: ReadOptions;

  constructor(reader: ItemReader, options: ReadOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  read(node: Node | undefined, list: Node): ListedItem {
    const reader = this.#reader;
    if (!isMap(node)) {
      reader.notes.problem(node ?? list, "an endpoint must be a map with name, address and port");
      return { id: undefined, endpoint: undefined };
    }
    const problemsBefore = reader.notes.problemCount;
    const item = reader.fields.of(node);
    reader.warnOfOtherKeys(item, itemKeys);
    const name = reader.identifier(item, "name") ?? reader.missing(item, "name", node);
    const namespace = isEmpty(item.get("namespace")?.value) ? "default" : reader.identifier(item, "namespace");
    const address = this.#host(item, "address") ?? reader.missing(item, "address", node);
    const port = this.#port(item, "port") ?? reader.missing(item, "port", node);
    const labelFields = this.#labelFields(item);
    const labels = Object.fromEntries(this.#labelEntries(labelFields));
    const fromLabels: ItemFields = this.#options.metricsLabels ? labelFields : new Map();
    const metricsAddress = this.#host(item, "metricsAddress") ?? this.#host(fromLabels, "metricsAddress") ?? address;
    const metricsPort = this.#port(item, "metricsPort") ?? this.#port(fromLabels, "metricsPort") ?? port;
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
    return { id, endpoint: reader.notes.problemCount > problemsBefore ? undefined : (complete as ListedEndpoint) };
  }

  #host(item: ItemFields, key: string): string | undefined {
    const text = this.#reader.text(item, key);
    const problem = text === undefined ? undefined : hostProblem(text);
    if (text === undefined || problem === undefined) return text;
    return this.#reader.badField(item, key, `is ${quoted(text)}, which ${problem}`);
  }

  #port(item: ItemFields, key: string): number | undefined {
    const node = item.get(key)?.value;
    if (isEmpty(node)) return undefined;
    const value = isScalar(node) ? node.value : undefined;
    const port = typeof value === "string" && /^\d{1,5}$/.test(value) ? Number(value) : value;
    if (typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
    const given = typeof value === "string" || typeof value === "number" ? quoted(String(value)) : "no number";
    return this.#reader.badField(item, key, `is ${given}; use a number from 1 to 65535`);
  }

  #labelFields(item: ItemFields): ItemFields {
    const node = item.get("labels")?.value;
    if (isMap(node)) return this.#reader.fields.of(node);
    if (!isEmpty(node)) this.#reader.badField(item, "labels", "must be a map of label names to values");
    return new Map();
  }

  *#labelEntries(labels: ItemFields): Generator<readonly [string, string]> {
    for (const [name, { keyNode, value }] of labels) {
      if (isEmpty(value)) yield [name, ""];
      else if (isScalar(value) && typeof value.value === "string") yield [name, value.value];
      else {
        const fix = isScalar(value) ? `put it in quotes: ${quoted(value.source ?? String(value.value))}` : "use text";
        this.#reader.notes.problem(value ?? keyNode, `label ${quoted(name)} is not text; ${fix}`);
      }
    }
  }
}
