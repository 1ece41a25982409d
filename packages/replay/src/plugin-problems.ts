import { errorText, type LogFields, type Logger, silentLogger } from "@pointsman/core";

/** Plugins of which a problem is kept. */
const maxPlugins = 100;
const maxCharacters = 500;

/** The first problem of each plugin: a replay goes on after it, as a process does, and says it at the end. */
export class PluginProblems {
  readonly #first: Map<string, string> = new Map();

  /** By plugin name. */
  get first(): ReadonlyMap<string, string> {
    return this.#first;
  }

  note(plugin: string, problem: string): void {
    if (this.#first.has(plugin) || this.#first.size >= maxPlugins) return;
    this.#first.set(plugin, problem.replace(/\s+/g, " ").slice(0, maxCharacters));
  }

  /** Notes that a call of a plugin threw. */
  threw(plugin: string, what: string, thrown: unknown): void {
    this.note(plugin, `${what}: ${errorText(thrown)}`);
  }

  /** A logger whose errors are noted under the plugin that they name. It writes nothing. */
  logger(bound: LogFields = {}): Logger {
    return {
      ...silentLogger,
      error: (fields, message) => this.#logged({ ...bound, ...fields }, message),
      isLevelEnabled: (level) => level === "error",
      child: (fields) => this.logger({ ...bound, ...fields }),
    };
  }

  #logged(fields: LogFields, message: string): void {
    const strings = (...names: readonly string[]): readonly string[] =>
      names.map((name) => fields[name]).filter((value) => typeof value === "string");
    const [plugin = "picker"] = strings("plugin", "owner", "listener");
    // What stands after a semicolon says where to read on in a log.
    const [what = message] = message.split(";");
    this.note(plugin, [...strings("extensionPoint"), what, ...strings("problem", "cause", "error")].join(": "));
  }
}
