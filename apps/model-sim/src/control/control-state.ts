import { nearestName } from "@pointsman/core";
import { type MetricsMode, metricsModes } from "../metrics/metrics-page.ts";

/** The failures a server plays. `null` switches one off. */
export interface ControlState {
  /** Answers this fraction of inference requests with an HTTP error. */
  readonly errors: { readonly status: number; readonly fraction: number } | null;
  /** Accepts requests and never answers: all but /control, inference only, or /metrics only. */
  readonly hang: HangScope | null;
  /** Ends the connection of this fraction of answers: after so many SSE events, or in the middle of a JSON body. */
  readonly cut: { readonly afterChunks: number; readonly fraction: number } | null;
  /** `stale` freezes /metrics as it is, `garbage` answers with bytes that are not a metrics page. */
  readonly metrics: MetricsMode;
  /** Bytes of other series on /metrics. */
  readonly metricsPaddingBytes: number;
  /** Multiplies the duration of engine steps. */
  readonly slowFactor: number;
  /** Closes the listening socket; `all` also destroys the open connections. */
  readonly refuse: RefuseScope | null;
  /** Breaks this fraction of the KV-cache transfers from other servers. */
  readonly kvTransfer: { readonly mode: KvTransferMode; readonly fraction: number } | null;
}

export const kvTransferModes = ["fail", "recompute", "hang"] as const;
/** A broken transfer ends its request with a 500, makes the server compute the prompt itself, or never ends. */
export type KvTransferMode = (typeof kvTransferModes)[number];
export const hangScopes = ["all", "inference", "metrics"] as const;
export type HangScope = (typeof hangScopes)[number];
export const refuseScopes = ["new", "all"] as const;
export type RefuseScope = (typeof refuseScopes)[number];

/** Settings to change; the others stay as they are. Inside `errors` and `cut` a missing key takes its default. */
export interface ControlPatch {
  readonly errors?: { readonly status?: number; readonly fraction?: number } | null;
  readonly hang?: HangScope | null;
  readonly cut?: { readonly afterChunks?: number; readonly fraction?: number } | null;
  readonly metrics?: MetricsMode;
  readonly metricsPaddingBytes?: number;
  readonly slowFactor?: number;
  readonly refuse?: RefuseScope | null;
  readonly kvTransfer?: { readonly mode?: KvTransferMode; readonly fraction?: number } | null;
}

export const healthyControl: ControlState = {
  errors: null,
  hang: null,
  cut: null,
  metrics: "normal",
  metricsPaddingBytes: 0,
  slowFactor: 1,
  refuse: null,
  kvTransfer: null,
};

const errorDefaults = { status: 503, fraction: 1 };
const cutDefaults = { afterChunks: 1, fraction: 1 };

export interface NumberRange {
  readonly min: number;
  readonly max: number;
  readonly integer: boolean;
}

export type ControlNumber =
  | "errors.status"
  | "errors.fraction"
  | "cut.afterChunks"
  | "cut.fraction"
  | "kvTransfer.fraction"
  | "metricsPaddingBytes"
  | "slowFactor";

export const controlRanges: Readonly<Record<ControlNumber, NumberRange>> = {
  "errors.status": { min: 400, max: 599, integer: true },
  "errors.fraction": { min: 0, max: 1, integer: false },
  "cut.afterChunks": { min: 0, max: 1_000_000, integer: true },
  "cut.fraction": { min: 0, max: 1, integer: false },
  "kvTransfer.fraction": { min: 0, max: 1, integer: false },
  metricsPaddingBytes: { min: 0, max: 67_108_864, integer: true },
  slowFactor: { min: 0.001, max: 1000, integer: false },
};

/** A setting that cannot be used: `path` is its place (`errors.fraction`), empty for the whole document. */
export interface ControlProblem {
  readonly path: string;
  readonly message: string;
}

/**
 * Applies a patch from outside to a state. Returns the new state, or every problem of the patch; then nothing of it
 * applies. Never throws.
 */
export function applyControlPatch(
  state: ControlState,
  patch: unknown,
): { readonly state: ControlState } | { readonly problems: readonly ControlProblem[] } {
  const problems: ControlProblem[] = [];
  const reader = new PatchReader(problems);
  const document = reader.object("", patch, Object.keys(healthyControl));
  if (document === undefined) return { problems };
  const next: ControlState = {
    errors: has(document, "errors") ? readErrors(reader, document["errors"]) : state.errors,
    hang: has(document, "hang") ? reader.choiceOrNull("hang", document["hang"], hangScopes) : state.hang,
    cut: has(document, "cut") ? readCut(reader, document["cut"]) : state.cut,
    metrics: has(document, "metrics")
      ? (reader.choice("metrics", document["metrics"], metricsModes) ?? state.metrics)
      : state.metrics,
    metricsPaddingBytes: has(document, "metricsPaddingBytes")
      ? reader.number("metricsPaddingBytes", document["metricsPaddingBytes"])
      : state.metricsPaddingBytes,
    slowFactor: has(document, "slowFactor") ? reader.number("slowFactor", document["slowFactor"]) : state.slowFactor,
    refuse: has(document, "refuse") ? reader.choiceOrNull("refuse", document["refuse"], refuseScopes) : state.refuse,
    kvTransfer: has(document, "kvTransfer") ? readKvTransfer(reader, document["kvTransfer"]) : state.kvTransfer,
  };
  return problems.length > 0 ? { problems } : { state: next };
}

/** A key set to undefined, which only a caller in the same process can do, counts as missing. */
function has(document: Readonly<Record<string, unknown>>, key: string): boolean {
  return Object.hasOwn(document, key) && document[key] !== undefined;
}

function readErrors(reader: PatchReader, value: unknown): ControlState["errors"] {
  if (value === null) return null;
  const object = reader.object("errors", value, ["status", "fraction"]);
  if (object === undefined) return null;
  return {
    status: has(object, "status") ? reader.number("errors.status", object["status"]) : errorDefaults.status,
    fraction: has(object, "fraction") ? reader.number("errors.fraction", object["fraction"]) : errorDefaults.fraction,
  };
}

function readCut(reader: PatchReader, value: unknown): ControlState["cut"] {
  if (value === null) return null;
  const object = reader.object("cut", value, ["afterChunks", "fraction"]);
  if (object === undefined) return null;
  return {
    afterChunks: has(object, "afterChunks")
      ? reader.number("cut.afterChunks", object["afterChunks"])
      : cutDefaults.afterChunks,
    fraction: has(object, "fraction") ? reader.number("cut.fraction", object["fraction"]) : cutDefaults.fraction,
  };
}

function readKvTransfer(reader: PatchReader, value: unknown): ControlState["kvTransfer"] {
  if (value === null) return null;
  const object = reader.object("kvTransfer", value, ["mode", "fraction"]);
  if (object === undefined) return null;
  return {
    mode: has(object, "mode") ? (reader.choice("kvTransfer.mode", object["mode"], kvTransferModes) ?? "fail") : "fail",
    fraction: has(object, "fraction") ? reader.number("kvTransfer.fraction", object["fraction"]) : 1,
  };
}

/** Reads values and writes down what is wrong with them. After a problem the returned value is not used. */
class PatchReader {
  readonly #problems: ControlProblem[];

  constructor(problems: ControlProblem[]) {
    this.#problems = problems;
  }

  object(path: string, value: unknown, keys: readonly string[]): Readonly<Record<string, unknown>> | undefined {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      const orNull = path === "" ? "" : " or null";
      this.#problems.push({ path, message: `must be an object${orNull}, not ${shown(value)}` });
      return undefined;
    }
    for (const key of Object.keys(value)) {
      if (keys.includes(key)) continue;
      const near = nearestName(key, keys);
      const hint = near === undefined ? "" : ` Nearest: ${JSON.stringify(near)}.`;
      this.#problems.push({
        path: path === "" ? key.slice(0, 64) : `${path}.${key.slice(0, 64)}`,
        message: `is not a setting.${hint} Settings: ${keys.join(", ")}`,
      });
    }
    return { ...value };
  }

  number(path: ControlNumber, value: unknown): number {
    const { min, max, integer } = controlRanges[path];
    const fits = typeof value === "number" && value >= min && value <= max && (!integer || Number.isInteger(value));
    if (fits) return value;
    const kind = integer ? "an integer" : "a number";
    this.#problems.push({ path, message: `must be ${kind} from ${min} to ${max}, not ${shown(value)}` });
    return min;
  }

  choice<T extends string>(path: string, value: unknown, choices: readonly T[], orNull = ""): T | undefined {
    const found = choices.find((choice) => choice === value);
    if (found === undefined) {
      const list = choices.map((choice) => JSON.stringify(choice)).join(", ");
      this.#problems.push({ path, message: `must be one of ${list}${orNull}, not ${shown(value)}` });
    }
    return found;
  }

  choiceOrNull<T extends string>(path: string, value: unknown, choices: readonly T[]): T | null {
    return value === null ? null : (this.choice(path, value, choices, " or null") ?? null);
  }
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "string" ? JSON.stringify(value.slice(0, 64)) : String(value);
}
