import { nearestName } from "@pointsman/core";
import {
  type ControlNumber,
  type ControlPatch,
  controlRanges,
  hangScopes,
  kvTransferModes,
  refuseScopes,
} from "../control/control-state.ts";
import { type LogLevel, logLevels } from "../log.ts";
import { type EngineName, engineNames } from "../metrics/metric-families.ts";
import { type MetricsMode, metricsModes } from "../metrics/metrics-page.ts";
import { serverRoles } from "../openai/transfer-request.ts";
import {
  type ModelSimOptions,
  ModelSimOptionsError,
  type NumberOption,
  numberOptions,
  resolveOptions,
} from "../options.ts";

export interface FlagSpec {
  /** Without the dashes. */
  readonly flag: string;
  /** What stands behind the flag, e.g. `ms`; undefined for a switch. */
  readonly value: string | undefined;
  /** As text; undefined when there is none or the help text says it. */
  readonly default: string | undefined;
  readonly help: string;
}

export type CommandLine =
  | { readonly kind: "help" | "version" }
  | { readonly kind: "wrong"; readonly problems: readonly string[] }
  | {
      readonly kind: "run";
      readonly options: ModelSimOptions;
      readonly logLevel: LogLevel;
      /** Wall time that open requests get to finish after SIGTERM. */
      readonly shutdownTimeoutMs: number;
    };

const controlNumberFlags: Readonly<Record<ControlNumber, { flag: string; help: string }>> = {
  "errors.status": { flag: "error-status", help: "answer inference requests with this HTTP status" },
  "errors.fraction": { flag: "error-fraction", help: "fraction of inference requests answered with an error" },
  "cut.afterChunks": {
    flag: "cut-after-chunks",
    help: "end the connection after so many SSE events, or in the middle of a JSON body",
  },
  "cut.fraction": { flag: "cut-fraction", help: "fraction of answers that are cut" },
  "kvTransfer.fraction": {
    flag: "kv-transfer-failure-fraction",
    help: "fraction of KV-cache transfers from other servers that fail",
  },
  metricsPaddingBytes: { flag: "metrics-padding-bytes", help: "bytes of other series on /metrics" },
  slowFactor: { flag: "slow-factor", help: "multiplies the duration of engine steps" },
};

const shutdownTimeout = { flag: "shutdown-timeout-ms", min: 0, max: 3_600_000, default: 30_000 };

const numberFlags: readonly FlagSpec[] = Object.values(numberOptions).map((spec) => ({
  flag: spec.flag,
  value: spec.unit === "" ? "number" : spec.unit,
  default: spec.default === undefined ? undefined : `${spec.default}`,
  help: spec.help,
}));

/** Every flag, in the order of the help text. */
export const flagSpecs: readonly FlagSpec[] = [
  { flag: "host", value: "address", default: "127.0.0.1", help: "address to listen on" },
  { flag: "name", value: "text", default: undefined, help: "sent as x-model-sim-server (default: model-sim-<port>)" },
  { flag: "model", value: "text", default: "Qwen/Qwen3-8B", help: "the base model's name" },
  { flag: "engine", value: engineNames.join("|"), default: "vllm", help: "whose metric names to use" },
  { flag: "role", value: serverRoles.join("|"), default: "both", help: "stages of disaggregated requests it takes" },
  {
    flag: "lora",
    value: "name,...",
    default: undefined,
    help: "LoRA adapters that requests may name as model; can be repeated",
  },
  ...numberFlags,
  ...Object.values(controlNumberFlags).map(({ flag, help }) => ({ flag, value: "number", default: undefined, help })),
  { flag: "hang", value: hangScopes.join("|"), default: undefined, help: "accept requests and never answer" },
  {
    flag: "kv-transfer-failure",
    value: kvTransferModes.join("|"),
    default: undefined,
    help: "what becomes of a KV-cache transfer that fails: a 500, computing the prompt, no end",
  },
  {
    flag: "metrics-mode",
    value: metricsModes.join("|"),
    default: "normal",
    help: "freeze /metrics or answer with garbage",
  },
  {
    flag: "refuse",
    value: refuseScopes.join("|"),
    default: undefined,
    help: "close the listening socket; `all` also ends open connections",
  },
  {
    flag: "shutdown-timeout-ms",
    value: "ms",
    default: `${shutdownTimeout.default}`,
    help: "time for open requests to finish after SIGTERM",
  },
  { flag: "log-level", value: logLevels.join("|"), default: "warn", help: "lowest level that is logged, to stderr" },
  { flag: "help", value: undefined, default: undefined, help: "print this text" },
  { flag: "version", value: undefined, default: undefined, help: "print the version" },
];

export function helpText(): string {
  const rows = flagSpecs.map((spec) => {
    const left = `  --${spec.flag}${spec.value === undefined ? "" : ` <${spec.value}>`}`;
    const preset = spec.default === undefined ? "" : ` (default: ${spec.default})`;
    return left.length < 38
      ? `${left.padEnd(38)}${spec.help}${preset}`
      : `${left}\n${" ".repeat(38)}${spec.help}${preset}`;
  });
  return `Usage: model-sim [flags]\n\nA simulated vLLM server. Prints one JSON line with its address when it listens.\n\n${rows.join("\n")}\n`;
}

/** Reads the command line. Reports all problems at once; each names the flag. Never throws. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const problems: string[] = [];
  const given = readFlags(args, problems);
  if (given.has("help")) return { kind: "help" };
  if (given.has("version")) return { kind: "version" };
  const reader = new FlagReader(given, problems);
  const options = readOptions(reader);
  const logLevel = reader.choice("log-level", logLevels) ?? "warn";
  const shutdownTimeoutMs = reader.number(shutdownTimeout.flag) ?? shutdownTimeout.default;
  if (!(shutdownTimeoutMs >= shutdownTimeout.min && shutdownTimeoutMs <= shutdownTimeout.max)) {
    problems.push(
      `--${shutdownTimeout.flag} must be a number from ${shutdownTimeout.min} to ${shutdownTimeout.max} (ms), not ${shutdownTimeoutMs}`,
    );
  }
  try {
    resolveOptions(options);
  } catch (error: unknown) {
    if (!(error instanceof ModelSimOptionsError)) throw error;
    for (const { option, message } of error.problems) problems.push(`${flagOfOption(option)} ${message}`);
  }
  return problems.length > 0 ? { kind: "wrong", problems } : { kind: "run", options, logLevel, shutdownTimeoutMs };
}

/** Values by flag. `--lora` may stand more than once. */
function readFlags(args: readonly string[], problems: string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] ?? "";
    if (!arg.startsWith("--") || arg === "--") {
      problems.push(`${JSON.stringify(arg.slice(0, 64))} is not a flag; flags start with "--"`);
      continue;
    }
    const equals = arg.indexOf("=");
    const flag = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
    const spec = flagSpecs.find((candidate) => candidate.flag === flag);
    if (spec === undefined) {
      const near = nearestName(
        flag,
        flagSpecs.map((candidate) => candidate.flag),
      );
      const hint = near === undefined ? "--help lists the flags" : `the nearest flag is --${near}`;
      problems.push(`--${flag.slice(0, 64)} is not a flag; ${hint}`);
      // Its value is not a problem of its own.
      if (equals < 0 && args[i + 1]?.startsWith("--") === false) i += 1;
      continue;
    }
    let value = equals < 0 ? undefined : arg.slice(equals + 1);
    if (spec.value === undefined) {
      if (value !== undefined) problems.push(`--${flag} takes no value`);
      value = "";
    } else if (value === undefined) {
      value = args[i + 1];
      if (value === undefined || value.startsWith("--")) {
        problems.push(`--${flag} needs a value: <${spec.value}>`);
        continue;
      }
      i += 1;
    }
    const earlier = given.get(flag);
    if (earlier !== undefined && flag !== "lora") problems.push(`--${flag} is given twice`);
    given.set(flag, earlier !== undefined && flag === "lora" ? `${earlier},${value}` : value);
  }
  return given;
}

class FlagReader {
  readonly #given: ReadonlyMap<string, string>;
  readonly #problems: string[];

  constructor(given: ReadonlyMap<string, string>, problems: string[]) {
    this.#given = given;
    this.#problems = problems;
  }

  text(flag: string): string | undefined {
    return this.#given.get(flag);
  }

  number(flag: string): number | undefined {
    const text = this.#given.get(flag);
    if (text === undefined) return undefined;
    if (/^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(text)) return Number(text);
    this.#problems.push(`--${flag} must be a number, not ${JSON.stringify(text.slice(0, 64))}`);
    return undefined;
  }

  choice<T extends string>(flag: string, choices: readonly T[]): T | undefined {
    const text = this.#given.get(flag);
    if (text === undefined) return undefined;
    const found = choices.find((choice) => choice === text);
    if (found === undefined) {
      const near = nearestName(text, choices);
      const hint = near === undefined ? "" : `; the nearest is ${near}`;
      this.#problems.push(
        `--${flag} must be one of ${choices.join(", ")}, not ${JSON.stringify(text.slice(0, 64))}${hint}`,
      );
    }
    return found;
  }
}

function readOptions(reader: FlagReader): ModelSimOptions {
  const numbers: Partial<Record<NumberOption, number>> = {};
  for (const option of numberOptionNames) {
    const value = reader.number(numberOptions[option].flag);
    if (value !== undefined) numbers[option] = value;
  }
  const [host, name, model] = [reader.text("host"), reader.text("name"), reader.text("model")];
  const engine: EngineName | undefined = reader.choice("engine", engineNames);
  const role = reader.choice("role", serverRoles);
  const lora = reader.text("lora");
  return {
    ...numbers,
    ...(host === undefined ? {} : { host }),
    ...(name === undefined ? {} : { name }),
    ...(model === undefined ? {} : { model }),
    ...(engine === undefined ? {} : { engine }),
    ...(role === undefined ? {} : { role }),
    ...(lora === undefined ? {} : { loraAdapters: lora.split(",").map((adapter) => adapter.trim()) }),
    control: readControl(reader),
  };
}

// Object.keys forgets the keys' type.
const numberOptionNames = Object.keys(numberOptions) as NumberOption[];

function readControl(reader: FlagReader): ControlPatch {
  const number = (path: ControlNumber) => reader.number(controlNumberFlags[path].flag);
  const status = number("errors.status");
  const errorFraction = number("errors.fraction");
  const afterChunks = number("cut.afterChunks");
  const cutFraction = number("cut.fraction");
  const metricsPaddingBytes = number("metricsPaddingBytes");
  const slowFactor = number("slowFactor");
  const hang = reader.choice("hang", hangScopes);
  const metrics: MetricsMode | undefined = reader.choice("metrics-mode", metricsModes);
  const refuse = reader.choice("refuse", refuseScopes);
  const kvTransferMode = reader.choice("kv-transfer-failure", kvTransferModes);
  const kvTransferFraction = number("kvTransfer.fraction");
  const kvTransfer = {
    ...(kvTransferMode === undefined ? {} : { mode: kvTransferMode }),
    ...(kvTransferFraction === undefined ? {} : { fraction: kvTransferFraction }),
  };
  const errors = {
    ...(status === undefined ? {} : { status }),
    ...(errorFraction === undefined ? {} : { fraction: errorFraction }),
  };
  const cut = {
    ...(afterChunks === undefined ? {} : { afterChunks }),
    ...(cutFraction === undefined ? {} : { fraction: cutFraction }),
  };
  return {
    ...(Object.keys(errors).length === 0 ? {} : { errors }),
    ...(Object.keys(cut).length === 0 ? {} : { cut }),
    ...(metricsPaddingBytes === undefined ? {} : { metricsPaddingBytes }),
    ...(slowFactor === undefined ? {} : { slowFactor }),
    ...(hang === undefined ? {} : { hang }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(refuse === undefined ? {} : { refuse }),
    ...(Object.keys(kvTransfer).length === 0 ? {} : { kvTransfer }),
  };
}

function flagOfOption(option: string): string {
  const number = numberOptionNames.find((candidate) => candidate === option);
  if (number !== undefined) return `--${numberOptions[number].flag}`;
  if (option === "loraAdapters") return "--lora";
  const control = option.replace(/^control\./, "");
  const controlNumber = Object.keys(controlRanges).find((path) => path === control);
  if (controlNumber !== undefined) return `--${controlNumberFlags[controlNumber as ControlNumber].flag}`;
  return `--${control}`;
}
