import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EndpointDiscovery,
  type EndpointMetadata,
  type EndpointSink,
  type InferenceModelRewrite,
  type InferenceObjective,
  type Logger,
  type PluginInstance,
  silentLogger,
} from "@pointsman/core";
import { buildPlugin, FakeClock } from "@pointsman/testkit";
import { expect } from "vitest";
import plugin from "../src/index.ts";

/** What a test file runs after each test. */
export const cleanUps: (() => void)[] = [];

/** A folder that is removed after the test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "file-discovery-"));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A discovery over a file in a folder of its own, with everything it says. */
export class FileFixture {
  readonly folder: string = newFolder();
  readonly path: string = join(this.folder, "endpoints.yaml");
  readonly clock: FakeClock = new FakeClock();
  readonly log: LogLine[] = [];
  readonly calls: string[] = [];
  readonly known: Map<string, EndpointMetadata> = new Map();
  objectives: readonly InferenceObjective[] = [];
  rewrites: readonly InferenceModelRewrite[] = [];
  #instance: (PluginInstance & EndpointDiscovery) | undefined;

  write(text: string, file: string = this.path): void {
    writeFileSync(file, text);
  }

  async start(params: object = {}): Promise<void> {
    const write =
      (level: string) =>
      (fields: Readonly<Record<string, unknown>>, message: string): void => {
        this.log.push({ level, message, fields });
      };
    const logger: Logger = { ...silentLogger, error: write("error"), warn: write("warn"), info: write("info") };
    const built = buildPlugin(plugin, {
      params: { path: "endpoints.yaml", watchFile: true, ...params },
      clock: this.clock,
      logger,
      baseDirectory: this.folder,
    });
    // The contract above has checked the role.
    const instance = built.instance as PluginInstance & EndpointDiscovery;
    this.#instance = instance;
    cleanUps.unshift(() => void instance.dispose?.());
    const sink: EndpointSink = {
      upsert: (metadata) => {
        this.calls.push(`upsert ${metadata.id}`);
        this.known.set(metadata.id, metadata);
      },
      remove: (id) => {
        this.calls.push(`remove ${id}`);
        this.known.delete(id);
      },
    };
    await instance.startDiscovery(sink, {
      setObjectives: (objectives) => {
        this.objectives = objectives;
      },
      setModelRewrites: (rewrites) => {
        this.rewrites = rewrites;
      },
    });
  }

  get instance(): PluginInstance {
    return this.#instance!;
  }

  get ids(): readonly string[] {
    return [...this.known.keys()].sort();
  }

  /** Lets fake time pass in small steps until `holds`; fails after twenty real seconds. */
  async until(what: string, holds: () => boolean, stepMs = 10): Promise<void> {
    const givenUpAtMs = performance.now() + 20_000;
    while (!holds()) {
      if (performance.now() > givenUpAtMs)
        throw new Error(`waited in vain for: ${what}; log: ${JSON.stringify(this.log)}`);
      this.clock.advance(stepMs);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Waits for the log line that follows the ones so far. */
  async nextLine(): Promise<LogLine> {
    const lines = this.log.length;
    await this.until("a log line", () => this.log.length > lines);
    expect(this.log).toHaveLength(lines + 1);
    return this.log.at(-1)!;
  }

  /** Lets everything happen that a change would cause: several looks at the file. */
  async pass(): Promise<void> {
    for (let i = 0; i < 30; i++) {
      this.clock.advance(100);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** One item of a list. */
export const line = (name: string, port = 8000): string => `- {name: ${name}, address: 10.0.0.1, port: ${port}}\n`;
/** A file with these endpoints. */
export const list = (...names: readonly string[]): string => `endpoints:\n${names.map((name) => line(name)).join("")}`;

/** A discovery that has read `text`. */
export async function started(text: string, params: object = {}): Promise<FileFixture> {
  const fixture = new FileFixture();
  fixture.write(text);
  await fixture.start(params);
  return fixture;
}
