import { nearestName } from "@pointsman/core";
import { applyControlPatch, type ControlPatch, type ControlState, healthyControl } from "./control/control-state.ts";
import type { Logger } from "./log.ts";
import { type EngineName, engineNames } from "./metrics/metric-families.ts";
import { type ServerRole, serverRoles } from "./openai/transfer-request.ts";

/** Settings of a simulated server. Every one has a default; the README's table lists them with their flags. */
export interface ModelSimOptions {
  /** TCP port; 0 = a free one. */
  readonly port?: number;
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** A second port that serves /control only; 0 = a free one. Default: none. */
  readonly controlPort?: number;
  /** Sent as `x-model-sim-server`. Default `model-sim-<port>`. */
  readonly name?: string;
  readonly model?: string;
  /** Whose metric names the server uses. */
  readonly engine?: EngineName;
  /** Names of LoRA adapters that requests may give as `model`. */
  readonly loraAdapters?: readonly string[];
  /** Adapters in GPU memory at the same time. */
  readonly maxLoras?: number;
  readonly loraLoadMs?: number;
  /** Stages of disaggregated requests that the server takes. Default `both`. */
  readonly role?: ServerRole;
  /** Time of receiving a prompt's KV cache from another server, and per 1000 tokens of it. */
  readonly kvTransferMs?: number;
  readonly kvTransferPer1kTokensMs?: number;
  readonly blockTokens?: number;
  readonly kvBlocks?: number;
  readonly prefillTokensPerSecond?: number;
  readonly attentionTokens?: number;
  readonly stepMs?: number;
  readonly stepPerRequestMs?: number;
  readonly stepPer1kContextMs?: number;
  readonly maxRunningRequests?: number;
  readonly maxStepTokens?: number;
  /** Prompt and answer together. Default 40960, or what the KV cache holds if that is less. */
  readonly maxModelTokens?: number;
  /** Length of answers to requests that set no limit. */
  readonly answerTokens?: number;
  /** Tokens per SSE event. */
  readonly streamIntervalTokens?: number;
  /** Simulated milliseconds per millisecond. */
  readonly timeScale?: number;
  readonly maxBodyBytes?: number;
  /** Inference requests open at the same time; more get 503. */
  readonly maxOpenRequests?: number;
  readonly seed?: number;
  /** Failures to start with. */
  readonly control?: ControlPatch;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
}

export interface NumberSpec {
  readonly flag: string;
  readonly min: number;
  readonly max: number;
  readonly integer: boolean;
  /** Undefined = worked out or absent, as the help text says. */
  readonly default: number | undefined;
  readonly unit: string;
  readonly help: string;
}

type OptionOf<T> = {
  [K in keyof ModelSimOptions]-?: NonNullable<ModelSimOptions[K]> extends T ? K : never;
}[keyof ModelSimOptions];
export type NumberOption = OptionOf<number>;

const integer = (
  flag: string,
  range: readonly [min: number, max: number],
  preset: number | undefined,
  unit: string,
  help: string,
): NumberSpec => ({ flag, min: range[0], max: range[1], integer: true, default: preset, unit, help });

const fraction = (
  flag: string,
  range: readonly [min: number, max: number],
  preset: number | undefined,
  unit: string,
  help: string,
): NumberSpec => ({ flag, min: range[0], max: range[1], integer: false, default: preset, unit, help });

export const numberOptions: Readonly<Record<NumberOption, NumberSpec>> = {
  port: integer("port", [0, 65535], 0, "", "TCP port; 0 takes a free one"),
  controlPort: integer(
    "control-port",
    [0, 65535],
    undefined,
    "",
    "second port with /control only; 0 takes a free one (default: none)",
  ),
  timeScale: fraction("time-scale", [0.001, 1000], 1, "x", "simulated time per wall time"),
  blockTokens: integer("block-size", [1, 4096], 16, "tokens", "KV-cache block"),
  kvBlocks: integer("kv-blocks", [1, 4_000_000], 25_000, "blocks", "size of the KV cache"),
  prefillTokensPerSecond: fraction(
    "prefill-rate",
    [1, 1e9],
    35_000,
    "tokens/s",
    "speed of computing a prompt's first tokens",
  ),
  attentionTokens: fraction(
    "attention-tokens",
    [1, 1e12],
    24_000,
    "tokens",
    "context at which a prompt token costs twice as much",
  ),
  stepMs: fraction("decode-ms", [0.001, 60_000], 7, "ms", "fixed cost of an engine step"),
  stepPerRequestMs: fraction("decode-ms-per-request", [0, 60_000], 0.02, "ms", "added to a step per decoding request"),
  stepPer1kContextMs: fraction(
    "decode-ms-per-1k-context",
    [0, 60_000],
    0.055,
    "ms",
    "added to a step per 1000 tokens of context of the decoding requests",
  ),
  maxRunningRequests: integer("max-num-seqs", [1, 100_000], 256, "requests", "requests in the running batch"),
  maxStepTokens: integer("max-num-batched-tokens", [1, 10_000_000], 8192, "tokens", "token budget of a step"),
  maxModelTokens: integer(
    "max-model-len",
    [2, 10_000_000],
    undefined,
    "tokens",
    "prompt and answer together (default: 40960, or what the KV cache holds)",
  ),
  answerTokens: integer("answer-tokens", [1, 1_000_000], 128, "tokens", "answer of a request without a limit"),
  streamIntervalTokens: integer("stream-interval", [1, 1_000_000], 1, "tokens", "tokens per SSE event"),
  maxLoras: integer("max-loras", [1, 1000], 1, "adapters", "adapters in GPU memory at the same time"),
  loraLoadMs: fraction("lora-load-ms", [0, 600_000], 100, "ms", "cost of loading an adapter"),
  kvTransferMs: fraction("kv-transfer-ms", [0, 600_000], 5, "ms", "receiving a prompt's KV cache from another server"),
  kvTransferPer1kTokensMs: fraction(
    "kv-transfer-ms-per-1k",
    [0, 600_000],
    3,
    "ms",
    "added to it per 1000 tokens of the prompt",
  ),
  maxBodyBytes: integer("max-body-bytes", [1, 268_435_456], 16_777_216, "bytes", "largest request body"),
  maxOpenRequests: integer(
    "max-open-requests",
    [1, 1_000_000],
    20_000,
    "requests",
    "inference requests open at the same time",
  ),
  seed: integer("seed", [0, 4_294_967_295], 1, "", "answers, injected errors and cuts"),
};

type PresetOption = Exclude<NumberOption, "controlPort" | "maxModelTokens">;

/** Options with every default filled in and every check passed. */
export type ResolvedOptions = Readonly<Record<PresetOption | "maxModelTokens", number>> & {
  readonly host: string;
  readonly controlPort: number | undefined;
  readonly name: string | undefined;
  readonly model: string;
  readonly engine: EngineName;
  readonly role: ServerRole;
  readonly loraAdapters: readonly string[];
  readonly control: ControlState;
  readonly logger: Logger;
};

export interface OptionProblem {
  /** The option, e.g. `kvBlocks` or `control.errors.fraction`. */
  readonly option: string;
  readonly message: string;
}

/** The options given to `startModelSim` cannot be used. `problems` has all of them. */
export class ModelSimOptionsError extends Error {
  readonly problems: readonly OptionProblem[];

  constructor(problems: readonly OptionProblem[]) {
    super(problems.map((problem) => `${problem.option} ${problem.message}`).join("; "));
    this.name = "ModelSimOptionsError";
    this.problems = problems;
  }
}

const textOptions = ["host", "name", "model", "engine", "role", "loraAdapters", "control", "logger"];
const defaultModelTokens = 40_960;
const maxNameCharacters = 256;
const maxAdapters = 1000;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Fills in defaults and checks everything. Throws `ModelSimOptionsError` with every problem found. */
export function resolveOptions(options: ModelSimOptions): ResolvedOptions {
  const problems: OptionProblem[] = [];
  const known = [...Object.keys(numberOptions), ...textOptions];
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    problems.push({ option: key, message: `is not an option${near === undefined ? "" : `. Nearest: ${near}`}` });
  }
  const number = (option: PresetOption): number => checkedNumber(options, option, problems) ?? 0;
  const numbers: Record<PresetOption, number> = {
    port: number("port"),
    timeScale: number("timeScale"),
    blockTokens: number("blockTokens"),
    kvBlocks: number("kvBlocks"),
    prefillTokensPerSecond: number("prefillTokensPerSecond"),
    attentionTokens: number("attentionTokens"),
    stepMs: number("stepMs"),
    stepPerRequestMs: number("stepPerRequestMs"),
    stepPer1kContextMs: number("stepPer1kContextMs"),
    maxRunningRequests: number("maxRunningRequests"),
    maxStepTokens: number("maxStepTokens"),
    answerTokens: number("answerTokens"),
    streamIntervalTokens: number("streamIntervalTokens"),
    maxLoras: number("maxLoras"),
    loraLoadMs: number("loraLoadMs"),
    kvTransferMs: number("kvTransferMs"),
    kvTransferPer1kTokensMs: number("kvTransferPer1kTokensMs"),
    maxBodyBytes: number("maxBodyBytes"),
    maxOpenRequests: number("maxOpenRequests"),
    seed: number("seed"),
  };
  const cacheTokens = numbers.kvBlocks * numbers.blockTokens;
  const askedModelTokens = checkedNumber(options, "maxModelTokens", problems);
  if (askedModelTokens !== undefined && problems.length === 0 && askedModelTokens > cacheTokens) {
    const message = `must not exceed the KV cache, ${cacheTokens} tokens, but is ${askedModelTokens}`;
    problems.push({ option: "maxModelTokens", message });
  }
  if (options.maxModelTokens === undefined && cacheTokens === 1) {
    problems.push({ option: "kvBlocks", message: "gives a KV cache of 1 token; a request needs at least 2" });
  }
  const model = options.model ?? "Qwen/Qwen3-8B";
  checkText("model", model, problems);
  checkText("host", options.host ?? "127.0.0.1", problems);
  if (options.name !== undefined) checkText("name", options.name, problems);
  if (options.engine !== undefined && !engineNames.includes(options.engine)) {
    problems.push({ option: "engine", message: `must be one of ${engineNames.join(", ")}, not ${options.engine}` });
  }
  if (options.role !== undefined && !serverRoles.includes(options.role)) {
    problems.push({ option: "role", message: `must be one of ${serverRoles.join(", ")}, not ${options.role}` });
  }
  const loraAdapters = [...(options.loraAdapters ?? [])];
  checkAdapters(loraAdapters, model, problems);
  const control = applyControlPatch(healthyControl, options.control ?? {});
  if ("problems" in control) {
    for (const { path, message } of control.problems) {
      problems.push({ option: path === "" ? "control" : `control.${path}`, message });
    }
  }
  if (problems.length > 0 || !("state" in control)) throw new ModelSimOptionsError(problems);
  return {
    ...numbers,
    controlPort: checkedNumber(options, "controlPort", problems),
    maxModelTokens: askedModelTokens ?? Math.min(defaultModelTokens, cacheTokens),
    host: options.host ?? "127.0.0.1",
    name: options.name,
    model,
    engine: options.engine ?? "vllm",
    role: options.role ?? "both",
    loraAdapters,
    control: control.state,
    logger: options.logger ?? silent,
  };
}

/** The option's value or default. A bad value is written down as a problem. */
function checkedNumber(options: ModelSimOptions, option: NumberOption, problems: OptionProblem[]): number | undefined {
  const spec = numberOptions[option];
  const value = options[option] ?? spec.default;
  if (value === undefined) return undefined;
  const fits = typeof value === "number" && value >= spec.min && value <= spec.max;
  if (!fits || (spec.integer && !Number.isInteger(value))) {
    const kind = spec.integer ? "an integer" : "a number";
    const unit = spec.unit === "" ? "" : ` (${spec.unit})`;
    problems.push({ option, message: `must be ${kind} from ${spec.min} to ${spec.max}${unit}, not ${String(value)}` });
  }
  return value;
}

function checkText(option: string, text: string, problems: OptionProblem[]): void {
  if (/^[\x21-\x7e]+$/.test(text) && text.length <= maxNameCharacters) return;
  const message = `must be 1 to ${maxNameCharacters} visible ASCII characters, not ${JSON.stringify(text.slice(0, 64))}`;
  problems.push({ option, message });
}

function checkAdapters(adapters: readonly string[], model: string, problems: OptionProblem[]): void {
  const option = "loraAdapters";
  if (adapters.length > maxAdapters) problems.push({ option, message: `has more than ${maxAdapters} names` });
  const seen = new Set<string>();
  for (const adapter of adapters) {
    checkText(option, adapter, problems);
    if (adapter.includes(",")) problems.push({ option, message: `has a name with a comma: ${adapter.slice(0, 64)}` });
    if (adapter === model)
      problems.push({ option, message: `has the name of the base model: ${adapter.slice(0, 64)}` });
    if (seen.has(adapter)) problems.push({ option, message: `has a name twice: ${adapter.slice(0, 64)}` });
    seen.add(adapter);
  }
}
