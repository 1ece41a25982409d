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
  type MetadataValue,
  type PluginHost,
  type PluginLifecycle,
} from "@pointsman/core";
import { type EndpointsFile, type FileNote, type ListedEndpoint, listedId } from "./endpoints-file.ts";
import { FileWatch } from "./file-watch.ts";
import { type FileDiscoveryParams, fileDiscoveryParams } from "./params.ts";
import { type FileSignature, readBounded } from "./read-bounded.ts";
import { readEndpoints } from "./read-endpoints.ts";
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
}

/** Finds the endpoints that a file lists. */
class FileDiscovery implements EndpointDiscovery, PluginLifecycle {
  readonly #path: string;
  readonly #watchFile: boolean;
  readonly #host: PluginHost;
  readonly #known: Map<string, EndpointMetadata> = new Map();
  #sink: EndpointSink | undefined;
  #watch: FileWatch | undefined;
  #text: string | undefined;
  #toldProblem: string | undefined;
  #reading: ThreadReading | undefined;
  #disposed = false;

  constructor(params: FileDiscoveryParams, host: PluginHost) {
    this.#path = resolve(host.baseDirectory, params.path);
    this.#watchFile = params.watchFile;
    this.#host = host;
  }

  async startDiscovery(sink: EndpointSink): Promise<void> {
    this.#sink = sink;
    const reading = await readBounded(this.#path);
    if (this.#disposed) return;
    if ("problem" in reading) throw startProblem(`the endpoints file ${this.#path} ${reading.problem}`);
    const file = readEndpoints(reading.text);
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
    const { endpoints } = this.#apply(file);
    const fields = { file: this.#path, endpoints, ...this.#notes("warnings", file.warnings) };
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
    this.#reading = readInThread(reading.text, this.#host.timers);
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
    if (file.items.at(-1)?.endpoint === undefined && file.items.length > 0 && !/\n[ \t]*$/.test(text)) {
      this.#refuse([
        `${this.#path}: the file ends in the middle of its last endpoint`,
        ...file.problems.map((note) => this.#told(note)),
      ]);
      return;
    }
    this.#toldProblem = undefined;
    const changes = this.#apply(file);
    const notes = { ...this.#notes("problems", file.problems), ...this.#notes("warnings", file.warnings) };
    const fields = { file: this.#path, ...changes, ...notes };
    if (file.problemCount > 0) {
      this.#host.logger.warn(
        fields,
        "endpoints file reloaded; endpoints that are not valid keep their last good state",
      );
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
      "the endpoints file cannot be used; the endpoints stay as they are",
    );
  }

  #apply(file: EndpointsFile): Changes {
    const items = file.items ?? [];
    const changes: Changes = { endpoints: 0, added: 0, updated: 0, removed: 0, kept: 0, refused: 0 };
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
