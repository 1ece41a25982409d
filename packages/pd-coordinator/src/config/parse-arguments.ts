import { nearestName } from "@pointsman/core";
import { settingTable, stepTable, variableOf } from "./setting-table.ts";

/** What a command line says. */
export interface CoordinatorArguments {
  readonly configFile: string;
  /** Missing values: undefined when `-v` is not given. */
  readonly verbosity: number | undefined;
  readonly metricsPort: number | undefined;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

const defaultConfigFile = "config/coordinator/coordinator.yaml";
const logFlags = ["zap-devel", "zap-encoder", "zap-log-level", "zap-stacktrace-level", "zap-time-encoding"] as const;
const flags = ["config", "v", "metrics-port", ...logFlags];

/** Reads flags in GNU style: `--config x`, `--config=x`, `-v 4`, `-v4`. Never throws. */
export function parseArguments(args: readonly string[]): CoordinatorArguments {
  const problems: string[] = [];
  const warnings: string[] = [];
  let configFile = defaultConfigFile;
  let verbosity: number | undefined;
  let metricsPort: number | undefined;
  const number = (name: string, text: string, max: number): number | undefined => {
    if (/^[0-9]{1,6}$/.test(text) && Number(text) <= max) return Number(text);
    problems.push(`${name} must be a whole number from 0 to ${max}, got ${JSON.stringify(text.slice(0, 64))}`);
    return undefined;
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const found = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? /^-(v)=?(.*)$/s.exec(arg);
    if (found === null) {
      problems.push(`${JSON.stringify(arg.slice(0, 64))} is no flag; see --help`);
      continue;
    }
    const name = found[1]!;
    if (!flags.includes(name)) {
      const near = nearestName(name, flags);
      problems.push(`unknown flag --${name.slice(0, 64)}${near === undefined ? "" : `; did you mean --${near}?`}`);
      continue;
    }
    // A boolean takes no value of its own.
    const inline = found[2] === "" && !arg.includes("=") ? undefined : found[2];
    const value = inline ?? (name === "zap-devel" ? "true" : args[++i]);
    if (value === undefined) problems.push(`--${name} needs a value`);
    else if (name === "config") configFile = value;
    else if (name === "v") verbosity = number("-v", value, 10);
    else if (name === "metrics-port") metricsPort = number("--metrics-port", value, 65_535);
    else warnings.push(`--${name} has no effect: logs are JSON lines; use -v`);
  }
  return { configFile, verbosity, metricsPort, problems, warnings };
}

/** What `--help` prints. */
export function helpText(): string {
  const row = (name: string, help: string): string => `  ${name.padEnd(34)} ${help}\n`;
  const withDefault = (help: string, fallback: string): string =>
    fallback === "" ? help : `${help} (default ${fallback})`;
  let text = "Flags:\n";
  text += row("--config FILE", `configuration in YAML or JSON (default ${defaultConfigFile})`);
  text += row("-v N", "verbosity, instead of log_level");
  text += row("--metrics-port N", "instead of server.metrics_port");
  text += row("--zap-*", "taken, without effect");
  text += "\nKeys of the configuration, each also an environment variable, which wins:\n";
  for (const { name, help, default: fallback } of settingTable) {
    text += row(name, withDefault(help, fallback));
    text += row("", variableOf(name));
  }
  text += "\nSteps in pipeline.steps, in the order they run, with their params:\n";
  for (const [type, specs] of Object.entries(stepTable)) {
    text += `  ${type}\n`;
    for (const { name, help, default: fallback } of specs) text += row(`  ${name}`, withDefault(help, fallback));
  }
  return text;
}
