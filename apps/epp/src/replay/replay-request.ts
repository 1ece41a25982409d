import { parseDurationMs } from "@pointsman/core";
import { type BuiltinPolicyName, builtinPolicyNames, type EngineTrouble, type Stall } from "@pointsman/replay";
import { type FlagSpec, flagTable } from "../flags/flag-table.ts";
import { parseFlags } from "../flags/parse-flags.ts";
import { syntheticWorkloadNames } from "./replay-workload.ts";

/** What a command line asks for. */
export interface ReplayRequest {
  readonly configs: readonly string[];
  readonly policies: readonly BuiltinPolicyName[];
  /** Shares of what the pool can take; empty with a rate scale. */
  readonly loads: readonly number[];
  readonly rateScale: number | undefined;
  readonly trace: string;
  readonly workload: string;
  readonly requests: number | undefined;
  readonly servers: number;
  /** Servers that are slower or stall. */
  readonly troubles: ReadonlyMap<number, EngineTrouble>;
  readonly replicas: number;
  readonly repeat: number;
  readonly seed: number;
  readonly allowExperimental: boolean;
  readonly stalenessMs: number;
  readonly json: boolean;
}

const workloads = ["trace", ...syntheticWorkloadNames];
/** Flags of which each may stand several times on a command line. */
const repeatable = ["slow", "stall"];

/** Flags of `epp replay`. */
export const replayFlags: readonly FlagSpec[] = [
  {
    name: "trace",
    kind: "string",
    default: "",
    help: "Trace to replay: JSON lines as of Mooncake, or a decision log.",
  },
  {
    name: "workload",
    kind: "string",
    default: "trace",
    oneOf: workloads,
    help: "What to replay; all but `trace` are made up and need no file.",
  },
  {
    name: "requests",
    kind: "integer",
    default: "0",
    min: 0,
    max: 10_000_000,
    help: "Number of requests; 0: 2000 of a trace.",
  },
  { name: "servers", kind: "integer", default: "8", min: 1, max: 4096, help: "Number of simulated servers." },
  {
    name: "slow",
    kind: "list",
    default: "",
    help: "Servers of another speed, repeatable: SERVER=FACTOR, 3=0.5 for half.",
  },
  {
    name: "stall",
    kind: "list",
    default: "",
    help: "Times at which a server computes nothing, repeatable: SERVER@START+DURATION, 3@60s+5s.",
  },
  {
    name: "replicas",
    kind: "integer",
    default: "1",
    min: 1,
    max: 64,
    help: "Pickers of each configuration, each with its share of the requests.",
  },
  {
    name: "load",
    kind: "list",
    default: "0.8",
    help: "Offered load as a share of what the pool can take, above 0; several give a table each.",
  },
  { name: "rate-scale", kind: "string", default: "", help: "Factor on the workload's own rate, instead of --load." },
  {
    name: "policies",
    kind: "list",
    default: "random,least-in-flight",
    help: `Policies to compare with: ${builtinPolicyNames.join(", ")}.`,
  },
  { name: "seed", kind: "integer", default: "1", min: 0, max: 2 ** 31, help: "Seed of all random choices." },
  {
    name: "repeat",
    kind: "integer",
    default: "1",
    min: 1,
    max: 100,
    help: "Replays with different seeds; a table has the median of each figure.",
  },
  { name: "json", kind: "boolean", default: "false", help: "Print JSON." },
  ...flagTable.filter(({ name }) => name === "allow-experimental-plugins" || name === "metrics-staleness-threshold"),
];

/** Reads a command line, or says everything that is wrong with it. */
export function readReplayRequest(args: readonly string[]): ReplayRequest | { readonly problems: readonly string[] } {
  const flags = parseFlags(joinRepeated(args), replayFlags);
  if ("problems" in flags) return flags;
  const { values, given, positional } = flags;
  const problems: string[] = [];
  const list = (name: string): readonly string[] => {
    const value = values.get(name);
    return Array.isArray(value) ? value : [];
  };
  const servers = Number(values.get("servers"));
  const workload = String(values.get("workload"));
  const trace = String(values.get("trace"));
  if (workload === "trace" && trace === "") {
    problems.push(
      `--trace is missing; give a file, or a workload without one: --workload=${workloads.slice(1).join("|")}`,
    );
  }
  if (workload !== "trace" && trace !== "") problems.push(`--trace cannot be used with --workload=${workload}`);
  const policies = list("policies").flatMap((name) => {
    const known = builtinPolicyNames.find((each) => each === name);
    if (known !== undefined) return [known];
    problems.push(`flag --policies: no policy ${JSON.stringify(name)}; there are ${builtinPolicyNames.join(", ")}`);
    return [];
  });
  if (positional.length === 0 && list("policies").length === 0) {
    problems.push("nothing to replay; give one or two configuration files, or --policies");
  }
  if (given.has("load") && given.has("rate-scale")) problems.push("give --load or --rate-scale, not both");
  const scale = String(values.get("rate-scale"));
  const loads = scale === "" ? list("load").map((text) => readPositive("load", text, problems)) : [];
  if (scale === "" && loads.length === 0) problems.push("flag --load: must be a number above 0, or several");
  const request: ReplayRequest = {
    configs: positional,
    policies,
    loads,
    rateScale: scale === "" ? undefined : readPositive("rate-scale", scale, problems),
    trace,
    workload,
    requests: Number(values.get("requests")) || undefined,
    servers,
    troubles: readTroubles(list("slow"), list("stall"), servers, problems),
    replicas: Number(values.get("replicas")),
    repeat: Number(values.get("repeat")),
    seed: Number(values.get("seed")),
    allowExperimental: values.get("allow-experimental-plugins") === true,
    stalenessMs: Number(values.get("metrics-staleness-threshold")),
    json: values.get("json") === true,
  };
  return problems.length > 0 ? { problems } : request;
}

/** Makes one list of a flag that stands several times, of which the last one would win otherwise. */
function joinRepeated(args: readonly string[]): readonly string[] {
  const rest: string[] = [];
  const joined = new Map<string, string[]>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") return [...flagsOf(joined), ...rest, ...args.slice(i)];
    const [name = "", ...inline] = arg.split("=");
    const flag = repeatable.find((each) => name === `--${each}`);
    if (flag === undefined || (inline.length === 0 && i + 1 === args.length)) {
      rest.push(arg);
      continue;
    }
    const value = inline.length === 0 ? args[++i]! : inline.join("=");
    joined.set(flag, [...(joined.get(flag) ?? []), value]);
  }
  return [...flagsOf(joined), ...rest];
}

function flagsOf(values: ReadonlyMap<string, readonly string[]>): readonly string[] {
  return Array.from(values, ([flag, each]) => `--${flag}=${each.join(",")}`);
}

function readPositive(flag: string, text: string, problems: string[]): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!(value > 0 && Number.isFinite(value))) {
    problems.push(`flag --${flag}: ${JSON.stringify(text)} is not a number above 0`);
  }
  return value;
}

function readTroubles(
  slow: readonly string[],
  stalls: readonly string[],
  servers: number,
  problems: string[],
): ReadonlyMap<number, EngineTrouble> {
  const speeds = new Map<number, number>();
  const stallsOf = new Map<number, Stall[]>();
  for (const text of slow) {
    const match = /^(\d+)=(\d+(?:\.\d+)?)$/.exec(text);
    const [server, factor] = [Number(match?.[1]), Number(match?.[2])];
    if (!(server < servers && factor > 0 && factor <= 100)) {
      problems.push(
        `flag --slow: ${JSON.stringify(text)} is not SERVER=FACTOR, ` +
          `with a server from 0 to ${servers - 1} and a factor above 0, at most 100, such as 0=0.5 for half the speed`,
      );
    } else if (speeds.has(server)) problems.push(`flag --slow: server ${server} stands there twice`);
    else speeds.set(server, factor);
  }
  for (const text of stalls) {
    const match = /^(\d+)@([^+]+)\+(.+)$/.exec(text);
    const server = Number(match?.[1]);
    const [atMs, forMs] = [parseDurationMs(match?.[2] ?? ""), parseDurationMs(match?.[3] ?? "")];
    if (!(server < servers) || atMs === undefined || atMs < 0 || forMs === undefined || forMs <= 0) {
      problems.push(
        `flag --stall: ${JSON.stringify(text)} is not SERVER@START+DURATION, ` +
          `with a server from 0 to ${servers - 1} and times such as 0@60s+500ms`,
      );
    } else stallsOf.set(server, [...(stallsOf.get(server) ?? []), { atMs, forMs }]);
  }
  return new Map(
    [...new Set([...speeds.keys(), ...stallsOf.keys()])].map((server) => {
      const speed = speeds.get(server);
      return [server, { ...(speed === undefined ? {} : { speed }), stalls: stallsOf.get(server) ?? [] }];
    }),
  );
}
