/** What expected-latency routing is worth, by the recommended profile on simulated servers in virtual time. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BuiltinPolicyName,
  buildWorkload,
  hotPrefixRequests,
  multiTurnRequests,
  type PickerFactory,
  type ReplayOptions,
  type ReplayOutcome,
  type RequestOutline,
  runReplay,
  SeededRandom,
  type Workload,
} from "@pointsman/replay";
import { afterAll, expect, test, vi } from "vitest";
import { replayPicker } from "../src/replay/replay-picker.ts";

// A replay takes seconds on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

const recommended = join(import.meta.dirname, "../examples/expected-latency.yaml");
const directory = mkdtempSync(join(tmpdir(), "epp-expected-latency-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const pickerOf = (configFile: string): PickerFactory =>
  replayPicker({ configFile, allowExperimental: true, stalenessMs: 2000, seed: 1 });

/** Replays under the recommended profile, or under a policy of the replay itself. */
function replay(
  workload: Workload,
  options: Omit<ReplayOptions, "workload" | "servers" | "seed">,
  by?: BuiltinPolicyName,
): Promise<ReplayOutcome> {
  return runReplay(by ?? pickerOf(recommended), { workload, servers: 4, seed: 1, ...options });
}

/** Prompts of very different lengths, many about one of some documents, one of them asked about often. Poisson arrivals, one a second. */
function mixedRequests(count: number, seed: number): readonly RequestOutline[] {
  const random = new SeededRandom(seed, 50);
  const documents = Array.from({ length: 20 }, () => Math.round(500 * Math.exp(4 * random.uniform())));
  let atMs = 0;
  return Array.from({ length: count }, (_, index) => {
    atMs += random.exponential() * 1000;
    const document = Math.floor(documents.length * random.uniform() ** 3);
    const own = { id: 1000 + index, tokens: Math.round(100 * Math.exp(5 * random.uniform())) };
    return {
      atMs,
      prompt: random.uniform() < 0.5 ? [own] : [{ id: document, tokens: documents[document]! }, own],
      output: { id: -1 - index, tokens: random.between(50, 500) },
    };
  });
}

const mixed = buildWorkload("mixed", mixedRequests(400, 1), 16);
const chats = buildWorkload("chats", multiTurnRequests(400, 1), 16);

const workloads = [
  { name: "prompts of all lengths", workload: mixed, rateScale: 8, ttft: 0.85, endToEnd: 0.95 },
  { name: "chats of several turns", workload: chats, rateScale: 1.6, ttft: 0.6, endToEnd: 0.8 },
];

test.each(workloads)(
  "$name: times to first token and to the end are at most $ttft and $endToEnd of those by counting requests",
  async ({ workload, rateScale, ttft, endToEnd }) => {
    const ours = await replay(workload, { rateScale });
    const fewest = await replay(workload, { rateScale }, "least-in-flight");
    expect([...ours.problems]).toEqual([]);
    expect(ours.ttftMs.mean).toBeLessThan(ttft * fewest.ttftMs.mean);
    expect(ours.ttftMs.p90).toBeLessThan(fewest.ttftMs.p90);
    expect(ours.endToEndMs.mean).toBeLessThan(endToEnd * fewest.endToEndMs.mean);
    expect(ours.hitRate).toBeGreaterThan(fewest.hitRate + 0.05);
  },
);

test.each(workloads)(
  "$name: the first hundred requests, of which nothing is learned yet, wait at most a tenth longer than by counting",
  async ({ workload, rateScale }) => {
    const first = { rateScale, warmUp: 0, coolDown: 0.75 };
    const [ours, fewest] = [await replay(workload, first), await replay(workload, first, "least-in-flight")];
    expect(ours.counted).toBe(100);
    expect(ours.ttftMs.mean).toBeLessThan(1.1 * fewest.ttftMs.mean);
    expect(ours.endToEndMs.mean).toBeLessThan(1.1 * fewest.endToEndMs.mean);
  },
);

test("a server at half the speed gets less than half of an equal share, less than by counting, and answers come sooner", async () => {
  const slow = { rateScale: 8, troubles: new Map([[2, { speed: 0.5 }]]) };
  const [ours, fewest] = [await replay(mixed, slow), await replay(mixed, slow, "least-in-flight")];
  expect(ours.requestsPerServer[2]).toBeLessThan(50);
  expect(ours.requestsPerServer[2]).toBeLessThan(fewest.requestsPerServer[2]!);
  // But it is not given up: what it takes, the others need not.
  expect(ours.requestsPerServer[2]).toBeGreaterThan(5);
  expect(ours.ttftMs.mean).toBeLessThan(0.8 * fewest.ttftMs.mean);
  expect(ours.endToEndMs.mean).toBeLessThan(0.9 * fewest.endToEndMs.mean);
});

test("a server that stalls gets nothing after two seconds of silence, and requests again once it answers", async () => {
  const stalled = { rateScale: 8, troubles: new Map([[1, { stalls: [{ atMs: 20_000, forMs: 10_000 }] }]]) };
  const [ours, fewest] = [await replay(mixed, stalled), await replay(mixed, stalled, "least-in-flight")];
  const arrived = ({ served }: ReplayOutcome, fromMs: number, toMs: number): number =>
    served.filter(({ server, arrivalMs }) => server === 1 && arrivalMs >= fromMs && arrivalMs < toMs).length;
  expect(ours.served.filter(({ arrivalMs }) => arrivalMs >= 22_000 && arrivalMs < 30_000).length).toBeGreaterThan(40);
  expect(arrived(ours, 22_000, 30_000)).toBe(0);
  expect(arrived(ours, 10_000, 20_000)).toBeGreaterThan(0);
  expect(arrived(ours, 31_000, 60_000)).toBeGreaterThan(0);
  expect(ours.ttftMs.p99).toBeLessThan(0.5 * fewest.ttftMs.p99);
});

test.each(workloads)(
  "$name: two pickers that share the requests do better than two that count, and servers hardly sway more than under one",
  async ({ workload, rateScale }) => {
    const two = { rateScale, replicas: 2 };
    const [ours, alone] = [await replay(workload, two), await replay(workload, { rateScale })];
    const counting = await runReplay(pickerOf(countingConfig()), { ...two, workload, servers: 4, seed: 1 });
    // Two that took no account of each other's requests would be at 0.92 of it with chats.
    expect(ours.ttftMs.mean).toBeLessThan(0.85 * counting.ttftMs.mean);
    expect(ours.endToEndMs.mean).toBeLessThan(0.95 * counting.endToEndMs.mean);
    expect(ours.imbalance).toBeLessThan(alone.imbalance + 0.1);
    const equalShare = ours.served.length / 4;
    for (const requests of ours.requestsPerServer) {
      expect(requests).toBeGreaterThan(equalShare / 3);
      expect(requests).toBeLessThan(equalShare * 2);
    }
  },
);

/** What a picker sees on a machine that is short of CPU, where servers do not say what was cached. */
const inRealTime = {
  answerDelays: { meanMs: 12, pauseShare: 0.1, pauseMs: 80 },
  usage: "without-cached",
} as const;

test("answers that are seen late by chance do not make equal servers look different: E2E stays within a twentieth", async () => {
  const hot = buildWorkload("hot", hotPrefixRequests(800, 1), 16);
  const exact = await replay(hot, { rateScale: 7 });
  const late = await replay(hot, { rateScale: 7, ...inRealTime });
  expect(late.endToEndMs.mean).toBeLessThan(1.05 * exact.endToEndMs.mean);
  expect(late.imbalance).toBeLessThan(exact.imbalance + 0.05);
});

test("a prefix that all requests share is soon held by all servers: answers come as soon as by counting", async () => {
  const random = new SeededRandom(1, 51);
  let atMs = 0;
  const outlines = Array.from({ length: 600 }, (_, index) => {
    atMs += random.exponential() * 1000;
    const own = { id: 1000 + index, tokens: random.between(100, 900) };
    return {
      atMs,
      prompt: [{ id: 1, tokens: 12_000 }, own],
      output: { id: -1 - index, tokens: random.between(50, 550) },
    };
  });
  const workload = buildWorkload("one prefix", outlines, 16);
  const [ours, fewest] = [
    await replay(workload, { rateScale: 12 }),
    await replay(workload, { rateScale: 12 }, "least-in-flight"),
  ];
  expect(ours.endToEndMs.mean).toBeLessThan(1.05 * fewest.endToEndMs.mean);
  expect(ours.ttftMs.mean).toBeLessThan(1.1 * fewest.ttftMs.mean);
  expect(ours.imbalance).toBeLessThan(0.25);
});

test.each(workloads)(
  "$name: servers that report no usage are learned from all the same",
  async ({ workload, rateScale, endToEnd }) => {
    const ours = await replay(workload, { rateScale, usage: "none" });
    const fewest = await replay(workload, { rateScale }, "least-in-flight");
    expect(ours.ttftMs.mean).toBeLessThan(0.85 * fewest.ttftMs.mean);
    expect(ours.endToEndMs.mean).toBeLessThan(endToEnd * fewest.endToEndMs.mean);
  },
);

test("late answers make a picker that counts misjudge servers, and change nothing for policies of the replay", async () => {
  const answerDelays = { meanMs: 20_000, pauseShare: 0, pauseMs: 0 };
  const counting = (changes: Partial<ReplayOptions>): Promise<ReplayOutcome> =>
    runReplay(pickerOf(countingConfig()), { workload: mixed, servers: 4, seed: 1, rateScale: 8, ...changes });
  const [exact, late, again] = [await counting({}), await counting({ answerDelays }), await counting({ answerDelays })];
  expect(late.imbalance).toBeGreaterThan(1.5 * exact.imbalance);
  expect(again.served.map(({ server }) => server)).toEqual(late.served.map(({ server }) => server));
  const fewest = { rateScale: 8, warmUp: 0 };
  expect((await replay(mixed, { ...fewest, answerDelays }, "least-in-flight")).ttftMs).toEqual(
    (await replay(mixed, fewest, "least-in-flight")).ttftMs,
  );
});

test("equal seeds give equal decisions", async () => {
  const servers = async () => (await replay(mixed, { rateScale: 8 })).served.map(({ server }) => server);
  expect(await servers()).toEqual(await servers());
});

/** A configuration that counts the requests a picker has sent. */
function countingConfig(): string {
  const file = join(directory, "counting.yaml");
  writeFileSync(
    file,
    `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: active-request-scorer
schedulingProfiles:
  - name: default
    plugins:
      - pluginRef: active-request-scorer
`,
  );
  return file;
}
