/** `epp replay` on real configurations, plugins and request paths, and its answers to wrong input. */
import { constants } from "node:buffer";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenExchanges } from "@pointsman/core";
import { buildWorkload, hotPrefixRequests, multiTurnRequests, runReplay } from "@pointsman/replay";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { replayCommand } from "../src/cli/replay.ts";
import { ProgressBar } from "../src/replay/progress-bar.ts";
import { replayPicker } from "../src/replay/replay-picker.ts";

// A replay takes seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const directory = mkdtempSync(join(tmpdir(), "epp-replay-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function config(name: string, scorers: Readonly<Record<string, number>>, plugins = ""): string {
  const names = Object.keys(scorers);
  return file(
    `${name}.yaml`,
    `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
${names.map((type) => `  - {type: ${type}}\n`).join("")}${plugins}
schedulingProfiles:
  - name: default
    plugins:
${names.map((type) => `      - {pluginRef: ${type}, weight: ${scorers[type]}}\n`).join("")}`,
  );
}

/** Runs the command in this process. */
async function replay(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
  const code = await replayCommand.run(args);
  vi.restoreAllMocks();
  return { code, out, err };
}

interface Outcome {
  readonly policy: string;
  readonly ttftMs: { readonly mean: number; readonly p99: number };
  readonly endToEndMs: { readonly mean: number };
  readonly hitRate: number;
  readonly imbalance: number;
  readonly decisionMs?: object;
  readonly problems: Readonly<Record<string, number>>;
  readonly pluginProblems: Readonly<Record<string, string>>;
  readonly spread: Readonly<Record<string, { readonly min: number; readonly max: number }>>;
  readonly runs: readonly (Outcome & { readonly requestsPerServer: readonly number[] })[];
}

interface Report {
  readonly requests: number;
  readonly seeds: readonly number[];
  readonly capacityRateScale?: number;
  readonly troubles: object;
  readonly loads: readonly {
    readonly load?: number;
    readonly rateScale: number;
    readonly outcomes: readonly Outcome[];
    readonly comparison?: {
      readonly sameServer: number;
      readonly byPromptTokens: readonly { readonly requests: number }[];
      readonly largest: readonly { readonly first: { readonly server: number } }[];
    };
  }[];
}

async function report(...args: readonly string[]): Promise<Report> {
  const { code, out, err } = await replay(...args, "--json");
  expect([code, err]).toEqual([0, ""]);
  return JSON.parse(out) as Report;
}

/** The same report whenever it is made: without what is measured in wall time. */
function withoutWallTimes(text: string): string {
  return JSON.stringify(JSON.parse(text, (key, value: unknown) => (key === "decisionMs" ? undefined : value)));
}

const baseline = config(
  "baseline",
  { "queue-scorer": 2, "kv-cache-utilization-scorer": 2, "prefix-cache-scorer": 3, "no-hit-lru-scorer": 2 },
  "  - {type: approx-prefix-cache-producer, parameters: {maxPrefixTokensToMatch: 100000}}",
);
const inFlight = config("in-flight", { "active-request-scorer": 1 });
const chats = ["--workload=multi-turn", "--requests=300", "--rate-scale=1.4", "--servers=4"];

test("more knowledge ranks higher: lots, least in flight, prefixes and load", async () => {
  const { loads } = await report(baseline, inFlight, ...chats);
  const [random, fewest, ours, ownCount] = loads[0]!.outcomes;
  expect(random!.endToEndMs.mean).toBeGreaterThan(fewest!.endToEndMs.mean);
  expect(fewest!.endToEndMs.mean).toBeGreaterThan(ours!.endToEndMs.mean);
  expect(ours!.hitRate).toBeGreaterThan(fewest!.hitRate + 0.1);
  // A picker that counts its own requests in flight decides as the policy that does: it sees answers begin and end.
  expect(ownCount!.endToEndMs.mean / fewest!.endToEndMs.mean).toBeCloseTo(1, 1);
  expect(ownCount!.imbalance).toBeLessThan(random!.imbalance / 2);
  expect(ours!.decisionMs).toBeDefined();
  for (const each of loads[0]!.outcomes) expect([each.problems, each.pluginProblems]).toEqual([{}, {}]);
});

test("a picker that reads the servers' pages sees their queues", async () => {
  const queues = config("queues", { "queue-scorer": 1, "running-requests-size-scorer": 1 });
  const { loads } = await report(queues, ...chats, "--slow=0=0.4", "--policies=random");
  const [random, ours] = loads[0]!.outcomes;
  expect(ours!.runs[0]!.requestsPerServer[0]).toBeLessThan(random!.runs[0]!.requestsPerServer[0]! * 0.8);
  expect(ours!.endToEndMs.mean).toBeLessThan(random!.endToEndMs.mean);
});

test("equal seeds give the same report byte for byte, another seed another one", async () => {
  const args = [baseline, inFlight, "--workload=hot-prefix", "--requests=200", "--rate-scale=4", "--json"];
  const [first, second, other] = [await replay(...args), await replay(...args), await replay(...args, "--seed=2")];
  expect(withoutWallTimes(first.out)).toBe(withoutWallTimes(second.out));
  expect(withoutWallTimes(other.out)).not.toBe(withoutWallTimes(first.out));
});

test("two configurations are compared request by request, one or three are not", async () => {
  const quick = ["--workload=hot-prefix", "--requests=150", "--rate-scale=6", "--policies="];
  const { loads } = await report(baseline, inFlight, ...quick);
  const { comparison } = loads[0]!;
  expect(comparison!.sameServer).toBeGreaterThan(0);
  expect(comparison!.sameServer).toBeLessThan(1);
  expect(comparison!.byPromptTokens.reduce((sum, { requests }) => sum + requests, 0)).toBe(98);
  expect(comparison!.largest).toHaveLength(10);
  expect((await report(baseline, ...quick)).loads[0]!.comparison).toBeUndefined();
  const same = (await report(inFlight, inFlight, ...quick)).loads[0]!.comparison;
  expect([same!.sameServer, same!.largest]).toEqual([1, []]);
});

test("several loads give a table each, several seeds medians with their spread", async () => {
  const args = ["--workload=hot-prefix", "--requests=120", "--load=0.5,0.9", "--repeat=3", "--seed=7"];
  const json = await report(...args);
  expect(json.seeds).toEqual([7, 8, 9]);
  expect(json.loads.map(({ load }) => load)).toEqual([0.5, 0.9]);
  for (const { load, rateScale, outcomes } of json.loads) {
    expect(rateScale).toBeCloseTo(load! * json.capacityRateScale!, 9);
    for (const { runs, ttftMs, spread } of outcomes) {
      const means = runs.map((run) => run.ttftMs.mean).sort((a, b) => a - b);
      expect(means).toHaveLength(3);
      expect(ttftMs.mean).toBe(means[1]);
      expect(spread["ttftMeanMs"]).toEqual({ min: means[0], max: means[2] });
    }
  }
  expect(json.loads[0]!.outcomes[1]!.ttftMs.mean).toBeLessThan(json.loads[1]!.outcomes[1]!.ttftMs.mean);
  const { out } = await replay(...args);
  expect(out.match(/^hot-prefix, 120 requests, 8 servers, load 0\.[59], .*medians of seeds 7 to 9/gm)).toHaveLength(2);
  expect(out.match(/^over the seeds/gm)).toHaveLength(2);
});

test("slow and stalled servers stand in the table's head and show in its figures", async () => {
  const args = ["--workload=hot-prefix", "--requests=150", "--rate-scale=6", "--policies=round-robin"];
  const trouble = ["--slow", "1=0.5", "--stall=2@5s+10s", "--stall", "2@20s+1s", "--slow=0=2"];
  const plain = (await report(...args)).loads[0]!.outcomes[0]!;
  const json = await report(...args, ...trouble);
  expect(json.troubles).toEqual({
    0: { speed: 2, stalls: [] },
    1: { speed: 0.5, stalls: [] },
    2: {
      stalls: [
        { atMs: 5000, forMs: 10_000 },
        { atMs: 20_000, forMs: 1000 },
      ],
    },
  });
  expect(json.loads[0]!.outcomes[0]!.ttftMs.p99).toBeGreaterThan(plain.ttftMs.p99 + 5000);
  const { out } = await replay(...args, ...trouble);
  expect(out.split("\n").slice(1, 4)).toEqual([
    "server 0 has 2 times the speed",
    "server 1 has 0.5 times the speed",
    "server 2 stalls at 5 s for 10 s, stalls at 20 s for 1 s",
  ]);
});

test("pickers that share the requests know less each: the servers are less balanced than under one", async () => {
  const args = [inFlight, ...chats, "--policies="];
  const one = (await report(...args)).loads[0]!.outcomes[0]!;
  const four = (await report(...args, "--replicas=4")).loads[0]!.outcomes[0]!;
  expect(four.imbalance).toBeGreaterThan(one.imbalance * 1.2);
  expect(four.runs[0]!.requestsPerServer.reduce((sum, count) => sum + count, 0)).toBe(300);
  expect((await replay(...args, "--replicas=4")).out).toContain("4 pickers of each configuration share the requests");
});

test("a request that the picker refuses is an error in the table, with its reason", async () => {
  const refusing = file(
    "refusing.yaml",
    `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - {type: label-selector-filter, parameters: {matchLabels: {no: one}}}
schedulingProfiles:
  - name: default
    plugins: [{pluginRef: label-selector-filter}]
`,
  );
  const { code, out } = await replay(refusing, "--workload=hot-prefix", "--requests=20", "--rate-scale=4");
  expect(code).toBe(0);
  expect(out).toMatch(/refusing\.yaml: 20 x (429|503) /);
});

class CountedExchanges extends OpenExchanges {
  asked = 0;

  override opened(): void {
    this.asked++;
    super.opened();
  }
}

test("a request that fits no server is not asked of the picker, and no exchange stays open", async () => {
  const outlines = [400_001, 100, 400_001, 100].map((tokens, i) => ({
    ...{ atMs: i, prompt: [{ id: i, tokens }], output: { id: -1 - i, tokens: 3 } },
  }));
  const open = new CountedExchanges();
  const picker = replayPicker({ configFile: inFlight, allowExperimental: false, stalenessMs: 60_000, seed: 1 });
  const outcome = await runReplay(
    async (...args) => {
      const real = await picker(...args);
      return { ...real, router: { ...real.router, open } };
    },
    { workload: buildWorkload("long", outlines, 16), rateScale: 1, servers: 2, seed: 1 },
  );
  expect([...outcome.problems]).toEqual([["longer than a server's cache", 2]]);
  expect([open.asked, open.count]).toEqual([2, 0]);
});

/** A configuration that reads its queues from the pages of some engine. */
function reading(name: string, parameters: string): string {
  return config(
    name,
    { "queue-scorer": 1 },
    `  - {type: metrics-data-source}\n  - {type: core-metrics-extractor, parameters: ${parameters}}`,
  );
}

test.each(["vllm", "sglang", "trtllm-serve", "triton-tensorrt-llm", "triton"])(
  "a configuration for %s finds its engine's series on the servers' pages",
  async (engine) => {
    const queues = reading(engine, `{defaultEngine: ${engine}}`);
    const { loads } = await report(queues, "--workload=hot-prefix", "--requests=200", "--rate-scale=9", "--slow=0=0.2");
    const [, , ours] = loads[0]!.outcomes;
    expect(ours!.pluginProblems).toEqual({});
    expect(ours!.runs[0]!.requestsPerServer[0]).toBeLessThan(200 / 8);
  },
);

test("a series that the servers do not state is told of below the table", async () => {
  const custom = reading(
    "custom",
    "{engineConfigs: [{name: vllm, queuedRequestsSpec: 'my:queue', runningRequestsSpec: 'vllm:num_requests_running'}]}",
  );
  const { code, out } = await replay(custom, "--workload=hot-prefix", "--requests=20", "--rate-scale=4");
  expect(code).toBe(0);
  expect(out).toContain(
    "custom.yaml: core-metrics-extractor: could not read all of a server's page: no series my:queue",
  );
});

/** Puts a package next to the configurations. */
function outsidePlugin(name: string, definition: string): void {
  const folder = join(directory, "node_modules", name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, type: "module", exports: "./index.js" }));
  writeFileSync(join(folder, "index.js"), `export default { stability: "stable", summary: "Breaks.", ${definition} };`);
}

test("plugins that throw, also in a timer or on a page, are told of and do not end the replay", async () => {
  outsidePlugin(
    "@clumsy/scorer",
    `type: "scorer", kind: "scorer",
    create: () => ({ category: "balance", score() { throw new Error("no score"); } })`,
  );
  outsidePlugin(
    "@clumsy/timer",
    `type: "timer", kind: "scorer",
    create: (params, { timers }) => {
      timers.every(100, () => { throw new Error("no time"); });
      return { category: "balance", score() {} };
    }`,
  );
  outsidePlugin(
    "@clumsy/reader",
    `type: "reader", kind: "extractor",
    create: () => ({ payload: "prometheus-text", extract() { throw new Error("no page"); } })`,
  );
  outsidePlugin(
    "@clumsy/source",
    `type: "source", kind: "source", create: () => ({
      payload: "prometheus-text", maxBodyBytes: 1000, pollTarget() { throw new Error("no address"); } })`,
  );
  const clumsy = config(
    "clumsy",
    { "'@clumsy/scorer'": 1, "'@clumsy/timer'": 1, "queue-scorer": 1 },
    `  - {type: '@clumsy/reader'}
  - {type: core-metrics-extractor}
  - {type: metrics-data-source}
  - {type: '@clumsy/source'}
dataLayer:
  sources:
    - {pluginRef: '@clumsy/source', extractors: [{pluginRef: '@clumsy/reader'}]}
    - pluginRef: metrics-data-source
      extractors: [{pluginRef: '@clumsy/reader'}, {pluginRef: core-metrics-extractor}]`,
  );
  const { loads } = await report(clumsy, "--workload=hot-prefix", "--requests=50", "--rate-scale=4");
  const ours = loads[0]!.outcomes[2]!;
  expect(ours.runs[0]!.requestsPerServer.reduce((sum, count) => sum + count, 0)).toBe(50);
  expect(ours.problems).toEqual({});
  expect(ours.pluginProblems).toEqual({
    "@clumsy/reader": "failed on a server's page: no page",
    "@clumsy/scorer": "Scorer: plugin call failed: threw; its scores count as 0: no score",
    "@clumsy/source": "gave no address: no address",
    "@clumsy/timer": "timer callback failed: no time",
  });
});

test("the picker's own clock is virtual: a replay of minutes does not take them", async () => {
  const workload = buildWorkload("chats", multiTurnRequests(40, 1), 16);
  const picker = replayPicker({ configFile: inFlight, allowExperimental: false, stalenessMs: 60_000, seed: 1 });
  const outcome = await runReplay(picker, { workload, rateScale: 0.01, servers: 2, seed: 1 });
  expect(outcome.served.at(-1)!.finishedMs).toBeGreaterThan(10 * 60_000);
  expect([...outcome.problems]).toEqual([]);
});

test("a picker that cannot be made leaves nothing running and tells its problems", async () => {
  const made: number[] = [];
  const picker = replayPicker({ configFile: inFlight, allowExperimental: false, stalenessMs: 60_000, seed: 1 });
  let disposed = 0;
  const run = runReplay(
    async (time, replica, logger) => {
      if (replica === 2) throw new Error("no third one");
      made.push(replica);
      const real = await picker(time, replica, logger);
      return {
        ...real,
        dispose: async () => {
          disposed++;
          await real.dispose();
        },
      };
    },
    { workload: buildWorkload("hot", hotPrefixRequests(10, 1), 16), rateScale: 1, servers: 2, seed: 1, replicas: 3 },
  );
  await expect(run).rejects.toThrow("no third one");
  expect([made, disposed]).toEqual([[0, 1], 2]);
});

const requestLine = (timestamp: number): string =>
  `${JSON.stringify({ timestamp, input_length: 5, output_length: 1, hash_ids: [1] })}\n`;
const trace = file("trace.jsonl", `${requestLine(0)}{"a": 1}\n`);
const marked = file("marked.jsonl", `\ufeff${requestLine(0)}{"a": 1}\n`);
const huge = file("huge.jsonl", "");
truncateSync(huge, constants.MAX_STRING_LENGTH + 1);
// Ten weeks, of which all but the last minute see a request a second or so.
const bursts = file(
  "bursts.jsonl",
  Array.from({ length: 400 }, (_, i) => requestLine(i < 399 ? 10 * i : 3 * 30 * 86_400_000)).join(""),
);
const yearLong = file("year.jsonl", `${requestLine(0)}${requestLine(365 * 86_400_000 - 10_000)}`);

test.each([
  [[], "--trace is missing; give a file, or a workload without one: --workload=shared-prefix|multi-turn|hot-prefix"],
  [["--trace", join(directory, "none.jsonl")], "epp replay: cannot read "],
  [["--trace", trace], "trace.jsonl:2: input_length must be a whole number from 1 to 10000000"],
  [["--trace", marked], "marked.jsonl:2: input_length must be"],
  [
    ["--trace", yearLong, "--rate-scale=1"],
    "at rate scale 1 the last request comes after 365 days; a replay may have 30. Give a larger --rate-scale",
  ],
  [["--trace", bursts, "--load=0.001"], "at load 0.001, rate scale "],
  [["--trace", huge], `huge.jsonl has ${constants.MAX_STRING_LENGTH + 1} bytes; a trace may have `],
  [["--trace", yearLong, "--rate-scale=10"], "at rate scale 10 the last request comes after 37 days"],
  [["--trace", trace, "--workload=hot-prefix"], "--trace cannot be used with --workload=hot-prefix"],
  [["--workload=warm-prefix"], 'flag --workload: "warm-prefix" is not one of trace, shared-prefix'],
  [["--workload=hot-prefix", "--policies=randm"], 'flag --policies: no policy "randm"; there are random, round-robin'],
  [["--workload=hot-prefix", "--policies="], "nothing to replay"],
  [["--workload=hot-prefix", "--load=0.5,none"], 'flag --load: "none" is not a number above 0'],
  [["--workload=hot-prefix", "--load="], "flag --load: must be a number above 0"],
  [["--workload=hot-prefix", "--load=-1"], 'flag --load: "-1" is not a number above 0'],
  [["--workload=hot-prefix", "--rate-scale=fast"], 'flag --rate-scale: "fast" is not a number above 0'],
  [["--workload=hot-prefix", "--rate-scale=1", "--load=1"], "give --load or --rate-scale, not both"],
  [["--workload=hot-prefix", "--servers=0"], 'flag --servers: "0" is not an integer from 1 to 4096'],
  [["--workload=hot-prefix", "--slow=8=0.5"], 'flag --slow: "8=0.5" is not SERVER=FACTOR, with a server from 0 to 7'],
  [["--workload=hot-prefix", "--slow", "1=0"], 'flag --slow: "1=0" is not SERVER=FACTOR'],
  [["--workload=hot-prefix", "--slow=1=2", "--slow=1=3"], "flag --slow: server 1 stands there twice"],
  [["--workload=hot-prefix", "--slow"], "flag --slow needs a value"],
  [["--workload=hot-prefix", "--stall=1@5s"], 'flag --stall: "1@5s" is not SERVER@START+DURATION'],
  [["--workload=hot-prefix", "--stall=9@5s+1s"], 'flag --stall: "9@5s+1s" is not SERVER@START+DURATION'],
  [["--workload=hot-prefix", "--stall=1@5s+0s"], 'flag --stall: "1@5s+0s" is not SERVER@START+DURATION'],
  [["--workload=hot-prefix", "--stall=1@soon+1s"], 'flag --stall: "1@soon+1s" is not SERVER@START+DURATION'],
  [["--workload=hot-prefix", "--replicas=65"], 'flag --replicas: "65" is not an integer from 1 to 64'],
  [["--workload=hot-prefix", "--repeat=0"], 'flag --repeat: "0" is not an integer from 1 to 100'],
  [
    ["--workload=hot-prefix", "--requests=3"],
    "with 3 requests no rate is found that the servers keep up with: they may be too few; give --rate-scale",
  ],
  [
    ["--workload=multi-turn", "--requests=100"],
    "the servers keep up with this workload at every rate scale up to 16777216; give --",
  ],
  [["--workload=hot-prefix", "--sloww=1=2"], "unknown flag --sloww; did you mean --slow?"],
  [[join(directory, "none.yaml"), "--workload=hot-prefix", "--rate-scale=9"], "cannot read "],
  [
    [
      file("wrong.yaml", "plugins:\n  - type: queue-scoer\n"),
      "--workload=hot-prefix",
      "--requests=5",
      "--rate-scale=9",
    ],
    "wrong.yaml:2:11 error EPP_CONFIG_UNKNOWN_TYPE",
  ],
] as const)("%j: exit code 2, and what is wrong is named", async (args, message) => {
  const { code, out, err } = await replay(...args);
  expect(err).toContain(message);
  expect([code, out]).toEqual([2, ""]);
});

test("everything that is wrong with a command line is told at once", async () => {
  const { err } = await replay("--load=x", "--slow=y", "--stall=z", "--policies=p");
  expect(err.trim().split("\n")).toHaveLength(5);
});

test("a progress bar is drawn on a terminal, and nowhere else", () => {
  const written: string[] = [];
  const target = { isTTY: true, write: (text: string) => written.push(text) };
  const bar = new ProgressBar(target);
  bar.show("random", 1, 4);
  bar.say("thinking");
  bar.clear();
  expect(written).toEqual([
    "\r\u001b[K[########......................] 1/4 random",
    "\r\u001b[Kthinking",
    "\r\u001b[K",
  ]);
  const silent = new ProgressBar({ write: (text: string) => written.push(text) });
  silent.show("random", 1, 4);
  silent.clear();
  expect(written).toHaveLength(3);
});
