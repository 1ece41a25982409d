import type { FlagSpec } from "../flags/flag-table.ts";
import { endAtSignals } from "../process/start-signals.ts";

/** A command of the program. */
export interface Command {
  /** What `--help` after its name lists; the help of the whole program when absent. */
  readonly flags?: readonly FlagSpec[];
  /** Runs with the arguments after the command's name; resolves to the exit code. */
  run(args: readonly string[]): Promise<number>;
}

/** A command before it is needed: its module is loaded when it runs, so that `epp version` does not load a server. */
export interface LazyCommand {
  readonly summary: string;
  load(): Promise<Command>;
}

const help: LazyCommand = {
  summary: "prints this text, or the flags of a command: epp help COMMAND",
  load: async () => (await import("./help.ts")).helpCommand,
};
const version: LazyCommand = {
  summary: "prints the version",
  load: async () => (await import("./version.ts")).versionCommand,
};

/** Runs when no command is named, so that the Go picker's command lines work as they are. */
export const defaultCommand: LazyCommand = {
  summary: "runs the endpoint picker",
  load: async () => {
    endAtSignals();
    return (await import("./serve.ts")).serveCommand;
  },
};

/** By name. */
export const commands: ReadonlyMap<string, LazyCommand> = new Map<string, LazyCommand>([
  ["serve", defaultCommand],
  [
    "check",
    {
      summary: "checks a configuration file as a start does: epp check FILE [--print|--json]",
      load: async () => (await import("./check.ts")).checkCommand,
    },
  ],
  [
    "explain",
    {
      summary: "asks a running picker why recent requests went where: epp explain [-n 5] [--request-id ID] [--json]",
      load: async () => (await import("./explain.ts")).explainCommand,
    },
  ],
  [
    "state",
    {
      summary: "asks a running picker what its plugins tell of their state: epp state [--plugin NAME] [--json]",
      load: async () => (await import("./state.ts")).stateCommand,
    },
  ],
  [
    "replay",
    {
      summary: "replays a trace against simulated servers: epp replay A.yaml [B.yaml] --trace FILE [--json]",
      load: async () => (await import("./replay.ts")).replayCommand,
    },
  ],
  [
    "envoy-config",
    {
      summary: "prints a bootstrap for Envoy in front of this picker: epp envoy-config > envoy.yaml",
      load: async () => (await import("./envoy-config.ts")).envoyConfigCommand,
    },
  ],
  [
    "plugins",
    {
      summary: "lists the plugins that can be named in a configuration, and which are installed: epp plugins [--json]",
      load: async () => (await import("./plugins.ts")).pluginsCommand,
    },
  ],
  [
    "schema",
    {
      summary: "prints the JSON Schema of configuration files, for editors",
      load: async () => (await import("./schema.ts")).schemaCommand,
    },
  ],
  [
    "demo",
    {
      summary:
        "starts simulated model servers and a picker with its proxy, sends requests and shows why each went where",
      load: async () => (await import("./demo.ts")).demoCommand,
    },
  ],
  ["help", help],
  ["--help", help],
  ["-h", help],
  ["version", version],
  ["--version", version],
]);
