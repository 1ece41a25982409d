import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { parts } from "./parts.ts";

const run = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), "replay-e2e-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const requests = 1500;
const rateScale = 2.05;
const seeds = [1, 2, 3] as const;
const policies = ["random", "round-robin", "least-in-flight"] as const;

/** One row of a result; times in milliseconds. */
interface Row {
  readonly ttftMeanMs: number;
  readonly endToEndMeanMs: number;
  readonly hitRate: number;
  readonly imbalance: number;
}

type Rows = ReadonlyMap<string, Row>;

interface SimulatorResult {
  readonly results: readonly {
    readonly policy: string;
    readonly errors: number;
    readonly ttft_ms: { readonly mean: number };
    readonly e2e_ms: { readonly mean: number };
    readonly prefix_hit_rate: number;
    readonly imbalance_cv: number;
  }[];
}

/** The other simulator's row of each policy: medians over the seeds. */
async function simulated(): Promise<Rows> {
  const ofSeed: SimulatorResult["results"][] = [];
  for (const seed of seeds) {
    const json = join(directory, `poolsim-${seed}.json`);
    await run(parts.poolsim(), [
      ...["-trace", parts.trace(), "-requests", String(requests), "-rate-scale", String(rateScale)],
      ...["-seed", String(seed), "-policy", policies.join(","), "-json", json],
    ]);
    ofSeed.push((JSON.parse(readFileSync(json, "utf8")) as SimulatorResult).results);
  }
  return new Map(
    policies.map((policy) => {
      const runs = ofSeed.map((results) => results.find((row) => row.policy === policy)!);
      for (const { errors } of runs) expect(errors).toBe(0);
      const median = (of: (row: (typeof runs)[number]) => number): number =>
        runs.map(of).sort((a, b) => a - b)[runs.length >> 1]!;
      return [
        policy,
        {
          ttftMeanMs: median((row) => row.ttft_ms.mean),
          endToEndMeanMs: median((row) => row.e2e_ms.mean),
          hitRate: median((row) => row.prefix_hit_rate),
          imbalance: median((row) => row.imbalance_cv),
        },
      ];
    }),
  );
}

interface Report {
  readonly loads: readonly {
    readonly outcomes: readonly {
      readonly policy: string;
      readonly ttftMs: { readonly mean: number };
      readonly endToEndMs: { readonly mean: number };
      readonly hitRate: number;
      readonly imbalance: number;
      readonly problems: object;
    }[];
  }[];
}

/** Our rows, those of the policies and of a configuration: medians over the seeds. */
async function replayed(configFile: string): Promise<Rows> {
  const { stdout } = await run(
    parts.epp,
    [
      ...["replay", configFile, "--trace", parts.trace(), "--requests", String(requests)],
      ...[
        "--rate-scale",
        String(rateScale),
        "--policies",
        policies.join(","),
        "--repeat",
        String(seeds.length),
        "--json",
      ],
    ],
    { maxBuffer: 64 * 1024 ** 2 },
  );
  const { outcomes } = (JSON.parse(stdout) as Report).loads[0]!;
  return new Map(
    outcomes.map(({ policy, ttftMs, endToEndMs, hitRate, imbalance, problems }) => {
      expect(problems).toEqual({});
      return [policy, { ttftMeanMs: ttftMs.mean, endToEndMeanMs: endToEndMs.mean, hitRate, imbalance }];
    }),
  );
}

const configFile = join(directory, "optimized-baseline.yaml");
writeFileSync(
  configFile,
  `apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: queue-scorer
  - type: kv-cache-utilization-scorer
  - type: approx-prefix-cache-producer
    parameters: {maxPrefixTokensToMatch: 100000}
  - type: prefix-cache-scorer
  - type: no-hit-lru-scorer
schedulingProfiles:
  - name: default
    plugins:
      - {pluginRef: queue-scorer, weight: 2}
      - {pluginRef: kv-cache-utilization-scorer, weight: 2}
      - {pluginRef: prefix-cache-scorer, weight: 3}
      - {pluginRef: no-hit-lru-scorer, weight: 2}
`,
);

function ranked(rows: Rows, names: readonly string[], by: (row: Row) => number): readonly string[] {
  return [...names].sort((a, b) => by(rows.get(a)!) - by(rows.get(b)!));
}

test("replay and the other simulator agree on a real trace, and rank alike", { timeout: 600_000 }, async () => {
  const [theirs, ours] = [await simulated(), await replayed(configFile)];
  for (const [name, rows] of [
    ["poolsim", theirs],
    ["replay", ours],
  ] as const) {
    for (const [policy, { ttftMeanMs, endToEndMeanMs, hitRate, imbalance }] of rows) {
      console.log(
        `${name} ${policy}: TTFT ${ttftMeanMs.toFixed(0)} ms, E2E ${(endToEndMeanMs / 1000).toFixed(2)} s, ` +
          `hits ${(hitRate * 100).toFixed(1)} %, imbalance ${imbalance.toFixed(2)}`,
      );
    }
  }

  // A policy without chance and without feedback: only the exact moments of arrival differ.
  const [theirTurns, ourTurns] = [theirs.get("round-robin")!, ours.get("round-robin")!];
  expect(ourTurns.ttftMeanMs / theirTurns.ttftMeanMs).toBeCloseTo(1, 1);
  expect(ourTurns.endToEndMeanMs / theirTurns.endToEndMeanMs).toBeCloseTo(1, 1);
  expect(ourTurns.hitRate).toBeCloseTo(theirTurns.hitRate, 2);
  expect(ourTurns.imbalance).toBeCloseTo(theirTurns.imbalance, 1);

  for (const by of [(row: Row) => row.endToEndMeanMs, (row: Row) => row.ttftMeanMs, (row: Row) => row.imbalance]) {
    expect(ranked(ours, policies, by)).toEqual(ranked(theirs, policies, by));
  }
  // The rest of the ranking, best last: lots, requests in flight, the configuration.
  expect(ranked(ours, ["random", "least-in-flight", configFile], (row) => -row.endToEndMeanMs)).toEqual([
    "random",
    "least-in-flight",
    configFile,
  ]);
  for (const policy of policies) {
    expect(ours.get(configFile)!.hitRate).toBeGreaterThan(theirs.get(policy)!.hitRate + 0.05);
  }
});
