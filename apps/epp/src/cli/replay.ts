import { errorText } from "@pointsman/core";
import {
  type BuiltinPolicyName,
  builtinPolicyNames,
  type PickerFactory,
  type ReplayOptions,
  type ReplayOutcome,
  runReplay,
  TraceError,
} from "@pointsman/replay";
import { flagTable } from "../flags/flag-table.ts";
import { parseFlags } from "../flags/parse-flags.ts";
import { compareReplays, renderComparison, renderOutcomes } from "../replay/render-replay.ts";
import { ReplayConfigError, replayPicker } from "../replay/replay-picker.ts";
import { rateScaleFor, replayWorkload, syntheticWorkloads } from "../replay/replay-workload.ts";
import type { Command } from "./commands.ts";
import { complain, exitCode, print } from "./output.ts";

const workloads = ["trace", ...Object.keys(syntheticWorkloads)];

const replayFlags = [
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
    name: "load",
    kind: "string",
    default: "0.8",
    help: "Offered load as a share of what the pool can take, above 0.",
  },
  { name: "rate-scale", kind: "string", default: "", help: "Factor on the workload's own rate, instead of --load." },
  {
    name: "policies",
    kind: "list",
    default: "random,least-in-flight",
    help: `Policies to compare with: ${builtinPolicyNames.join(", ")}.`,
  },
  { name: "seed", kind: "integer", default: "1", min: 0, max: 2 ** 31, help: "Seed of all random choices." },
  { name: "json", kind: "boolean", default: "false", help: "Print JSON." },
  ...flagTable.filter(({ name }) => name === "allow-experimental-plugins" || name === "metrics-staleness-threshold"),
] as const;

/** What the command line asks for. */
interface Request {
  readonly configs: readonly string[];
  readonly policies: readonly BuiltinPolicyName[];
  readonly load: number;
  readonly rateScale: number | undefined;
  readonly trace: string;
  readonly workload: string;
  readonly requests: number | undefined;
  readonly servers: number;
  readonly seed: number;
  readonly allowExperimental: boolean;
  readonly stalenessMs: number;
  readonly json: boolean;
}

export const replayCommand: Command = {
  async run(args) {
    const request = readRequest(args);
    if ("problems" in request) {
      for (const problem of request.problems) complain(`epp replay: ${problem}`);
      return exitCode.badInput;
    }
    try {
      await replay(request);
      return exitCode.ok;
    } catch (thrown: unknown) {
      if (!(thrown instanceof TraceError || thrown instanceof ReplayConfigError)) throw thrown;
      progress("");
      complain(thrown instanceof TraceError ? `epp replay: ${errorText(thrown)}` : errorText(thrown));
      return exitCode.badInput;
    }
  },
};

async function replay(request: Request): Promise<void> {
  const { configs, policies, seed, servers } = request;
  const workload = await replayWorkload(request);
  if (request.rateScale === undefined) progress("looking for the load the pool can take");
  const rateScale = request.rateScale ?? (await rateScaleFor(request.load, workload, servers, seed));
  const pickers = configs.map((configFile) => replayPicker({ ...request, configFile }));
  const outcomes: ReplayOutcome[] = [];
  for (const policy of [...policies, ...pickers] satisfies (BuiltinPolicyName | PickerFactory)[]) {
    const name = typeof policy === "string" ? policy : configs[outcomes.length - policies.length]!;
    const options: ReplayOptions = {
      workload,
      rateScale,
      servers,
      seed,
      onProgress: (done, of) => progress(bar(name, done, of)),
    };
    outcomes.push(await runReplay(policy, options));
  }
  progress("");
  const replayed = outcomes.slice(policies.length);
  const comparison = replayed.length === 2 ? compareReplays(replayed[0]!, replayed[1]!) : undefined;
  const setting = { workload: workload.name, requests: workload.requests.length, servers, rateScale, seed };
  if (request.json) {
    const plain = outcomes.map(({ served: _, problems, ...rest }) => ({
      ...rest,
      problems: Object.fromEntries(problems),
    }));
    print(JSON.stringify({ ...setting, outcomes: plain, comparison }, null, 2));
    return;
  }
  print(renderOutcomes(setting, outcomes));
  if (comparison !== undefined) print(`\n${renderComparison(comparison)}`);
}

function readRequest(args: readonly string[]): Request | { readonly problems: readonly string[] } {
  const flags = parseFlags(args, replayFlags);
  if ("problems" in flags) return flags;
  const { values, positional } = flags;
  const problems: string[] = [];
  const positive = (name: string): number => {
    const value = Number(values.get(name));
    if (!(value > 0 && Number.isFinite(value))) problems.push(`flag --${name}: must be a number above 0`);
    return value;
  };
  const workload = String(values.get("workload"));
  const trace = String(values.get("trace"));
  if (workload === "trace" && trace === "") {
    problems.push(
      `--trace is missing; give a file, or a workload without one: --workload=${workloads.slice(1).join("|")}`,
    );
  }
  const policies = (values.get("policies") as readonly string[]).map((name) => {
    const known = builtinPolicyNames.find((each) => each === name);
    if (known === undefined)
      problems.push(`flag --policies: no policy ${name}; there are ${builtinPolicyNames.join(", ")}`);
    return known ?? "random";
  });
  if (positional.length === 0 && policies.length === 0) {
    problems.push("nothing to replay; give one or two configuration files, or --policies");
  }
  const scale = String(values.get("rate-scale"));
  const request: Request = {
    configs: positional,
    policies,
    load: positive("load"),
    rateScale: scale === "" ? undefined : positive("rate-scale"),
    trace,
    workload,
    requests: Number(values.get("requests")) || undefined,
    servers: Number(values.get("servers")),
    seed: Number(values.get("seed")),
    allowExperimental: values.get("allow-experimental-plugins") === true,
    stalenessMs: Number(values.get("metrics-staleness-threshold")),
    json: values.get("json") === true,
  };
  return problems.length > 0 ? { problems } : request;
}

const barWidth = 30;

function bar(name: string, done: number, of: number): string {
  const filled = Math.round((barWidth * done) / Math.max(1, of));
  return `[${"#".repeat(filled)}${".".repeat(barWidth - filled)}] ${done}/${of} ${name}`;
}

/** Shows how far it is, on a terminal only; an empty text removes it. */
function progress(text: string): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\u001b[K${text}`);
}
