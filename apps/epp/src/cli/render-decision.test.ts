import { create } from "@bufbuild/protobuf";
import {
  DecisionLog,
  describeDecision,
  Exchange,
  type ExchangeSink,
  Headers,
  noMetrics,
  silentLogger,
} from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { DecisionSchema } from "@pointsman/proto/admin";
import { FakeClock } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { decisionMessage } from "../admin/decision-message.ts";
import { createRouter } from "../process/create-router.ts";
import { loadGraph } from "../process/load-graph.ts";
import { renderDecision } from "./render-decision.ts";

const quietSink: ExchangeSink = {
  routed: () => undefined,
  reply: () => undefined,
  requestTrailers: () => undefined,
  responseHeaders: () => undefined,
  responseBody: () => undefined,
  responseTrailers: () => undefined,
};

const timer = { stop: () => undefined };

/** What is said of a request with this prompt, sent to a pool of servers with these roles. */
async function explained(configText: string, roles: readonly string[], prompt: string): Promise<readonly string[]> {
  const clock = new FakeClock(0, Date.UTC(2026, 0, 1));
  const datastore = new Datastore({
    pool: { name: "pool", namespace: "default", appProtocol: undefined },
    logger: silentLogger,
  });
  roles.forEach((role, i) => {
    const address = `10.0.0.${i + 1}`;
    datastore.upsert({
      ...{ id: `default/${role}-${i}`, namespace: "default", name: `${role}-${i}`, address, port: 8000 },
      ...{ metricsHost: `${address}:8000`, labels: { "llm-d.ai/role": role }, rankIndex: 0 },
    });
  });
  const loaded = await loadGraph(
    { configFile: "", configText, endpointsFile: "" },
    {
      ...{ allowExperimental: true, stalenessMs: 2000, logger: silentLogger, metrics: noMetrics, datastore },
      virtual: { clock, timersFor: () => ({ after: () => timer, every: () => timer }), random: () => 0.5 },
    },
  );
  if ("unreadable" in loaded || loaded.graph === undefined) throw new Error(JSON.stringify(loaded, null, 2));
  const decisions = new DecisionLog(1, clock);
  const router = createRouter(loaded.graph, {
    ...{ endpoints: () => datastore.snapshot(), decisions, clock, logger: silentLogger, metrics: noMetrics },
    timers: { after: () => timer, every: () => timer },
    random: () => 0.5,
    maxRequestBodyBytes: 1024 ** 2,
    emitScores: false,
    ignoreSubsetHint: false,
    recordedSignals: loaded.graph.consumed.filter((key) => key.scope === "request" && key.perEndpoint !== undefined),
  });
  const exchange = new Exchange(router, quietSink);
  exchange.requestHeaders(
    Headers.from([
      [":path", "/v1/completions"],
      ["x-request-id", "request-1"],
    ]),
    false,
    {},
  );
  exchange.requestBody(Buffer.from(JSON.stringify({ model: "m", prompt })), true, {});
  await new Promise((resolve) => setImmediate(resolve));
  exchange.close("error");
  await loaded.graph.dispose();
  const [trace] = decisions.recent(1);
  return renderDecision(create(DecisionSchema, decisionMessage(describeDecision(trace!)))).split("\n");
}

const disaggregated = `
plugins:
- {type: prefix-cache-scorer}
- {type: queue-scorer}
- {type: prefill-filter}
- {type: decode-filter}
- {name: pd, type: prefix-based-pd-decider, parameters: {nonCachedTokens: 256}}
- {type: disagg-profile-handler, parameters: {deciders: {prefill: pd}}}
schedulingProfiles:
- {name: prefill, plugins: [{pluginRef: prefill-filter}, {pluginRef: prefix-cache-scorer, weight: 2}, {pluginRef: queue-scorer}]}
- {name: decode, plugins: [{pluginRef: decode-filter}, {pluginRef: prefix-cache-scorer, weight: 2}, {pluginRef: queue-scorer}]}
`;

test("a long prompt under disaggregation: the handler's turns, what each filter left, and whose choice is for prefill", async () => {
  const lines = await explained(disaggregated, ["prefill", "prefill", "decode"], "long ".repeat(2000));
  expect(lines.filter((line) => !/^ {4}( |\*|endpoint)/.test(line))).toEqual([
    "request request-1  2026-01-01T00:00:00.000Z  model m, about 2500 prompt tokens",
    "  candidates: 3 of 3 known endpoints",
    "  producers: token-producer 0.00 ms, approx-prefix-cache-producer 0.00 ms",
    "  disagg-profile-handler: runs decode, runs prefill, then no other profile",
    "  profile decode",
    "    filter decode-filter: 1 of 3 stay, removed default/prefill-0, default/prefill-1",
    "    max-score-picker -> default/decode-2",
    "  profile prefill (computes the prompt for the primary one)",
    "    filter prefill-filter: 2 of 3 stay, removed default/decode-2",
    expect.stringMatching(/^ {4}max-score-picker -> default\/prefill-[01]; next best default\/prefill-[01]$/),
    "  decided in 0.00 ms",
  ]);
  const titles = lines.filter((line) => line.startsWith("    endpoint")).map((line) => line.split(/ {2,}/).at(-1));
  expect(titles, "signals are kept of the primary profile").toEqual(["signals (age)", "total"]);
});

test("a short prompt stays where it is decoded: the decider lets no prefill run", async () => {
  const lines = await explained(disaggregated, ["prefill", "decode"], "short");
  expect(lines).toContain("  disagg-profile-handler: runs decode, then no other profile");
  expect(lines.filter((line) => line.startsWith("  profile"))).toEqual(["  profile decode"]);
});

test("the handler of a single profile says nothing", async () => {
  const lines = await explained("plugins: [{type: queue-scorer}]", ["both"], "p");
  expect(lines.join("\n")).not.toContain("single-profile-handler");
  expect(lines[1]).toBe("  candidates: 1 of 1 known endpoints");
});

test("screeners tell how many they left, and admitters that they let the request pass or why they did not", () => {
  const plugin = (name: string) => ({ name, type: name });
  const stage = (fields: object) => ({ durationMs: 0.25, problem: "", profiles: [], ...fields });
  const rendered = (stages: readonly object[]): readonly string[] =>
    renderDecision(create(DecisionSchema, { knownEndpoints: 9, stages: stages.map(stage) }))
      .split("\n")
      .slice(1, -1);
  expect(
    rendered([
      { stage: "RequestHeader", plugin: plugin("quiet") },
      { stage: "candidates", remaining: 5 },
      { stage: "screener", plugin: plugin("rollout"), remaining: 3 },
      { stage: "screener", plugin: plugin("broken"), remaining: 0, problem: "threw" },
      { stage: "producer", plugin: plugin("tokens") },
      { stage: "producer", plugin: plugin("slow"), problem: "took longer than 400 ms" },
      { stage: "producer", plugin: plugin("prefixes") },
      { stage: "Admission", plugin: plugin("slo") },
      { stage: "Admission", plugin: plugin("odds"), problem: "the pool is busy" },
    ]),
  ).toEqual([
    "  candidates: 5 of 9 known endpoints",
    "  screener rollout: 3 stay",
    "  screener broken: 0 stay (threw)",
    "  producers: tokens 0.25 ms",
    "  producer slow: took longer than 400 ms",
    "  producers: prefixes 0.25 ms",
    "  admitted by: slo 0.25 ms",
    "  Admission odds: the pool is busy",
  ]);
});

test("an estimate of many parts is a table of its own, one of few stands beside the scores", async () => {
  const expectedLatency = "plugins: [{type: expected-latency-producer}, {type: expected-latency-scorer}]";
  const lines = await explained(expectedLatency, ["a", "b"], "word ".repeat(800));
  const at = lines.findIndex((line) => line.includes("ExpectedLatency"));
  expect(lines[at]!.trim().split(/ {2,}/)).toEqual([
    ...["ExpectedLatency", "ttftMs", "queueMs", "memoryMs", "prefillMs", "sparedMs", "decodeMs"],
    ...["harmMs", "evictMs"],
  ]);
  const winner = lines.slice(at + 1, at + 3).find((line) => line.startsWith("    * default/"))!;
  // 1000 tokens by the assumed relations: 15 ms, 0.03 per token, 1 per million pairs; 200 tokens of answer.
  expect(winner.trim().split(/ {2,}/).slice(1)).toEqual(["45.5", "0", "0", "30.5", "0", "2001", "0", "0"]);
  const scores = lines.find((line) => line.includes("expected-latency-scorer x1"))!;
  expect(lines[lines.indexOf(scores) + 1]).toMatch(
    / 1\.00 +1\.00 +PrefixCacheMatchInfoDataKey\.matchedBlocks=0 \(0 ms\)/,
  );
  expect(lines[lines.indexOf(scores) + 1]).not.toContain("ttftMs");
  // Titles and figures stand in columns.
  expect(lines[at]!.indexOf("ttftMs")).toBe(winner.indexOf("45.5"));
});

test("parts that are not known say so, and candidates beyond the eighth are counted under each table", () => {
  const parts = ["a", "b", "c"].map((part) => ({
    name: `Estimate.${part}`,
    ...(part === "b" ? {} : { value: "1234.56" }),
  }));
  const candidates = Array.from({ length: 10 }, (_, i) => ({
    endpoint: `e${i}`,
    total: 1,
    scores: [],
    signals: parts,
  }));
  const profiles = [
    { profile: "default", primary: true, filters: [], candidates, winner: "e0", runnerUp: "", error: "" },
  ];
  const lines = renderDecision(create(DecisionSchema, { profiles })).split("\n");
  expect(lines).toContain("    Estimate  a     b        c");
  expect(lines).toContain("    * e0      1235  unknown  1235");
  expect(lines.filter((line) => line === "    ... and 2 more")).toHaveLength(2);
});
