import { resolve } from "node:path";
import {
  type AnyPluginDefinition,
  definePlugin,
  type EndpointDiscovery,
  type EndpointMetadata,
  type EndpointSink,
  EppError,
  errorText,
  hostPort,
  type InferenceModelRewrite,
  type InferenceObjective,
  type MetadataValue,
  type PluginHost,
  type PluginLifecycle,
  type RequestPolicySink,
} from "@pointsman/core";
import { type EndpointsFile, type FileNote, type ListedEndpoint, listedId } from "./endpoints-file.ts";
import { FileWatch } from "./file-watch.ts";
import { type KeptObjects, keepObjects } from "./kept-objects.ts";
import { type FileDiscoveryParams, fileDiscoveryParams } from "./params.ts";
import { type FileSignature, readBounded } from "./read-bounded.ts";
import { type ReadOptions, readEndpoints } from "./read-endpoints.ts";
import { readInThread, type ThreadReading } from "./read-in-thread.ts";

const maxDumpedEndpoints = 100;
/** Problems told in one log line. */
const maxToldNotes = 10;

/** What one reading changed. */
interface Changes {
  endpoints: number;
  added: number;
  updated: number;
  removed: number;
  /** Known endpoints that stay as they were because the file does not list them in a valid way. */
  kept: number;
  /** Items that are not valid. */
  refused: number;
  objectives: number;
  modelRewrites: number;
}

/** Finds the endpoints, objectives and model rewrites that a file lists. */
export class FileDiscovery implements EndpointDiscovery, PluginLifecycle {
  readonly #path: string;
  readonly #watchFile: boolean;
  readonly #host: PluginHost;
  readonly #options: ReadOptions;
  readonly #known: Map<string, EndpointMetadata> = new Map();
  #objectives: readonly InferenceObjective[] = [];
  #modelRewrites: readonly InferenceModelRewrite[] = [];
  #sink: EndpointSink | undefined;
  #policies: RequestPolicySink | undefined;
  #watch: FileWatch | undefined;
  #text: string | undefined;
  #toldProblem: string | undefined;
  #reading: ThreadReading | undefined;
  #disposed = false;

  constructor(params: FileDiscoveryParams, host: PluginHost, options: ReadOptions = { metricsLabels: false }) {
    this.#path = resolve(host.baseDirectory, params.path);
    this.#watchFile = params.watchFile;
    this.#host = host;
    this.#options = options;
  }

  async startDiscovery(sink: EndpointSink, policies?: RequestPolicySink): Promise<void> {
    this.#sink = sink;
    this.#policies = policies;
    const reading = await readBounded(this.#path);
    if (this.#disposed) return;
    if ("problem" in reading) throw startProblem(`the endpoints file ${this.#path} ${reading.problem}`);
    const file = readEndpoints(reading.text, this.#options);
    if (file.items === undefined || file.problemCount > 0) {
      const count = file.problemCount === 1 ? "a problem" : `${file.problemCount} problems`;
      const more = file.problemCount - file.problems.length;
      const lines = [
        ...file.problems.map((note) => this.#told(note)),
        ...(more > 0 ? [`and ${more} more problems`] : []),
      ];
      throw startProblem(`the endpoints file ${this.#path} has ${count}:\n  ${lines.join("\n  ")}`);
    }
    this.#text = reading.text;
    const { endpoints, objectives, modelRewrites } = this.#apply(file);
    const fields = {
      file: this.#path,
      endpoints,
      ...policyCounts(objectives, modelRewrites),
      ...this.#notes("warnings", file.warnings),
    };
    if (file.warnings.length > 0) this.#host.logger.warn(fields, "endpoints file read, with warnings");
    else this.#host.logger.info(fields, "endpoints file read");
    if (this.#watchFile) {
      this.#watch = new FileWatch({
        path: this.#path,
        timers: this.#host.timers,
        logger: this.#host.logger,
        known: reading.signature,
        onChange: () => this.#reload(),
      });
    }
  }

  dumpState(): MetadataValue {
    const ids = [...this.#known.keys()].sort();
    return {
      endpoints: ids.slice(0, maxDumpedEndpoints),
      totalEndpoints: ids.length,
      maxEndpoints: maxDumpedEndpoints,
      objectives: this.#objectives.length,
      modelRewrites: this.#modelRewrites.length,
    };
  }

  dispose(): void {
    this.#disposed = true;
    this.#watch?.close();
    this.#reading?.stop();
  }

  async #reload(): Promise<FileSignature> {
    const reading = await readBounded(this.#path);
    if (this.#disposed) return reading.signature;
    if ("problem" in reading) {
      this.#text = undefined;
      this.#refuse([`${this.#path} ${reading.problem}`]);
      return reading.signature;
    }
    if (reading.text === this.#text) return reading.signature;
    this.#text = reading.text;
    this.#reading = readInThread(reading.text, this.#options, this.#host.timers);
    try {
      const file = await this.#reading.file;
      if (!this.#disposed) this.#take(file, reading.text);
    } catch (thrown) {
      if (!this.#disposed) this.#refuse([`${this.#path}: ${errorText(thrown)}`]);
    } finally {
      this.#reading = undefined;
    }
    return reading.signature;
  }

  #take(file: EndpointsFile, text: string): void {
    if (file.items === undefined) {
      this.#refuse(file.problems.map((note) => this.#told(note)));
      return;
    }
    // A writer that has not finished leaves half an item at the end; what follows it must not look removed.
    if (endsInBadItem(file) && !/\n[ \t]*$/.test(text)) {
      this.#refuse([
        `${this.#path}: the file ends in the middle of its last item`,
        ...file.problems.map((note) => this.#told(note)),
      ]);
      return;
    }
    this.#toldProblem = undefined;
    const changes = this.#apply(file);
    const notes = { ...this.#notes("problems", file.problems), ...this.#notes("warnings", file.warnings) };
    const { objectives, modelRewrites, ...endpoints } = changes;
    const fields = { file: this.#path, ...endpoints, ...policyCounts(objectives, modelRewrites), ...notes };
    if (file.problemCount > 0) {
      this.#host.logger.warn(fields, "endpoints file reloaded; items that are not valid keep their last good state");
    } else if (file.warnings.length > 0) this.#host.logger.warn(fields, "endpoints file reloaded, with warnings");
    else this.#host.logger.info(fields, "endpoints file reloaded");
  }

  /** Tells once why the file as a whole is not used. */
  #refuse(problems: readonly string[]): void {
    const told = problems.slice(0, maxToldNotes).join("\n");
    if (told === this.#toldProblem) return;
    this.#toldProblem = told;
    this.#host.logger.warn(
      { file: this.#path, endpoints: this.#known.size, problems: problems.slice(0, maxToldNotes) },
      "the endpoints file cannot be used; everything stays as it is",
    );
  }

  #apply(file: EndpointsFile): Changes {
    const items = file.items ?? [];
    const { objectives, modelRewrites } = this.#applyPolicies(file);
    const changes: Changes = {
      endpoints: 0,
      added: 0,
      updated: 0,
      removed: 0,
      kept: objectives.kept + modelRewrites.kept,
      refused: [...file.objectives, ...file.modelRewrites].filter(({ object }) => object === undefined).length,
      objectives: objectives.objects.length,
      modelRewrites: modelRewrites.objects.length,
    };
    const listed = new Map<string, EndpointMetadata>();
    const invalid = new Set<string | undefined>();
    for (const { id, endpoint } of items) {
      if (endpoint === undefined) {
        changes.refused++;
        invalid.add(id);
      } else {
        const metadata = metadataOf(endpoint);
        listed.set(metadata.id, metadata);
      }
    }
    for (const [id, metadata] of listed) {
      const known = this.#known.get(id);
      if (known === undefined) changes.added++;
      else if (JSON.stringify(known) !== JSON.stringify(metadata)) changes.updated++;
      this.#known.set(id, metadata);
      this.#sink?.upsert(metadata);
    }
    for (const id of this.#known.keys()) {
      if (listed.has(id)) continue;
      // An item that does not say which endpoint it is may be any of them.
      if (invalid.has(id) || invalid.has(undefined)) {
        changes.kept++;
        continue;
      }
      changes.removed++;
      this.#known.delete(id);
      this.#sink?.remove(id);
    }
    changes.endpoints = this.#known.size;
    return changes;
  }

  #applyPolicies(file: EndpointsFile): {
    readonly objectives: KeptObjects<InferenceObjective>;
    readonly modelRewrites: KeptObjects<InferenceModelRewrite>;
  } {
    const objectives = keepObjects(this.#objectives, file.objectives);
    const modelRewrites = keepObjects(this.#modelRewrites, file.modelRewrites);
    this.#objectives = objectives.objects;
    this.#modelRewrites = modelRewrites.objects;
    this.#policies?.setObjectives(this.#objectives);
    this.#policies?.setModelRewrites(this.#modelRewrites);
    return { objectives, modelRewrites };
  }

  #told({ line, column, text }: FileNote): string {
    return `${this.#path}:${line}:${column} ${text}`;
  }

  #notes(name: string, notes: readonly FileNote[]): Readonly<Record<string, readonly string[]>> {
    if (notes.length === 0) return {};
    return { [name]: notes.slice(0, maxToldNotes).map((note) => this.#told(note)) };
  }
}

function metadataOf(endpoint: ListedEndpoint): EndpointMetadata {
  const { namespace, name, address, port, metricsAddress, metricsPort, labels } = endpoint;
  return {
    id: listedId(namespace, name),
    namespace,
    name,
    address,
    port,
    metricsHost: hostPort(metricsAddress, metricsPort),
    // In one order, so that a file that lists them in another says the same.
    labels: Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))),
    rankIndex: 0,
  };
}

/** Whether the last item of a list is not valid. */
function endsInBadItem({ items = [], objectives, modelRewrites }: EndpointsFile): boolean {
  if (items.length > 0 && items.at(-1)?.endpoint === undefined) return true;
  return [objectives, modelRewrites].some((list) => list.length > 0 && list.at(-1)?.object === undefined);
}

/** For log lines: only kinds that there are. */
function policyCounts(objectives: number, modelRewrites: number): Readonly<Record<string, number>> {
  return { ...(objectives === 0 ? {} : { objectives }), ...(modelRewrites === 0 ? {} : { modelRewrites }) };
}

function startProblem(text: string): EppError {
  return new EppError("EPP_ENDPOINTS_FILE", text);
}

export const fileDiscovery: AnyPluginDefinition = definePlugin<FileDiscoveryParams>({
  type: "file-discovery",
  kind: "discovery",
  stability: "beta",
  summary: "Reads the endpoints from a YAML or JSON file and follows its changes.",
  params: fileDiscoveryParams,
  create: (params, host) => new FileDiscovery(params, host),
});
