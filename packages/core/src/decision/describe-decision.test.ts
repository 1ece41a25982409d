import { expect, test } from "vitest";
import { buildEndpoint, buildRequest, FakeClock, named } from "../../test/testkit.ts";
import { ACTIVE_MODELS, KV_CACHE_USAGE, WAITING_QUEUE_SIZE } from "../attributes/metric-attributes.ts";
import { RequestError } from "../request-error.ts";
import { DecisionLog } from "./decision-log.ts";
import { captureSignals, type DecisionTrace, type ProfileTrace } from "./decision-record.ts";
import { describeDecision } from "./describe-decision.ts";

const endpoints = [
  buildEndpoint(0, {
    attributes: [
      [WAITING_QUEUE_SIZE, 0, 900],
      [ACTIVE_MODELS, new Set(Array.from({ length: 20 }, (_, i) => `adapter-${i}`)), 950],
    ],
  }),
  buildEndpoint(1, { address: "fd00::1", attributes: [[WAITING_QUEUE_SIZE, 7, 990]] }),
  buildEndpoint(2),
];
const queue = { name: "my-queue", type: "queue-scorer", instance: {} };
const cache = { name: "kv", type: "kv-cache-utilization-scorer", instance: {} };
const label = { name: "label", type: "label-selector-filter", instance: {} };
const picker = { name: "max", type: "max-score-picker", instance: {} };

function profileTrace(fields: Partial<ProfileTrace> = {}): ProfileTrace {
  return {
    profile: "default",
    filters: [],
    scorers: [
      { plugin: queue, weight: 2, scores: Float64Array.of(0.25, 1), durationMs: 0.5 },
      { plugin: cache, weight: 1, scores: Float64Array.of(0.5, 0.25), durationMs: 0.25 },
    ],
    candidates: endpoints.slice(0, 2),
    totals: Float64Array.of(1, 2.25),
    picker,
    pickerDurationMs: 0.125,
    targets: [endpoints[1]!, endpoints[0]!],
    error: undefined,
    ...fields,
  };
}

const at1000 = buildRequest();
at1000.nowMs = 1000;

function trace(fields: Partial<DecisionTrace> = {}): DecisionTrace {
  const empty = new DecisionLog(1, new FakeClock(0, 1_700_000_000_000)).begin()!;
  return {
    ...empty,
    requestId: "request-7",
    model: "base",
    targetModel: "base-v2",
    priority: -1,
    fairnessId: "tenant",
    knownEndpoints: 3,
    primaryProfile: "default",
    profiles: [profileTrace()],
    signalEndpoints: endpoints.slice(0, 2),
    signals: captureSignals(endpoints.slice(0, 2), [WAITING_QUEUE_SIZE, KV_CACHE_USAGE, ACTIVE_MODELS], at1000),
    outcome: "routed",
    durationMs: 1.5,
    ...fields,
  };
}

test("a decision names request, winner, runner-up and every contribution, best total first", () => {
  const view = describeDecision(trace());
  expect(view).toMatchObject({
    requestId: "request-7",
    at: "2023-11-14T22:13:20.000Z",
    model: "base",
    targetModel: "base-v2",
    priority: -1,
    fairnessId: "tenant",
    knownEndpoints: 3,
    outcome: "routed",
    httpStatus: undefined,
    durationMs: 1.5,
  });
  const [profile] = view.profiles;
  expect(profile).toMatchObject({
    primary: true,
    winner: "default/server-1",
    runnerUp: "default/server-0",
    targets: ["default/server-1", "default/server-0"],
    picker: { name: "max", type: "max-score-picker" },
  });
  expect(
    profile!.candidates.map(({ endpoint, hostPort, total, scores }) => ({
      endpoint,
      hostPort,
      total,
      scores: scores.map(({ plugin, weight, score, contribution }) => [plugin.name, weight, score, contribution]),
    })),
  ).toEqual([
    {
      endpoint: "default/server-1",
      hostPort: "[fd00::1]:8001",
      total: 2.25,
      scores: [
        ["my-queue", 2, 1, 2],
        ["kv", 1, 0.25, 0.25],
      ],
    },
    {
      endpoint: "default/server-0",
      hostPort: "127.0.0.1:8000",
      total: 1,
      scores: [
        ["my-queue", 2, 0.25, 0.5],
        ["kv", 1, 0.5, 0.5],
      ],
    },
  ]);
  expect(profile!.pluginTimes.map(({ plugin, durationMs }) => [plugin.type, durationMs])).toEqual([
    ["queue-scorer", 0.5],
    ["kv-cache-utilization-scorer", 0.25],
    ["max-score-picker", 0.125],
  ]);
});

test("the runner-up is the best of those not picked first, also when the best total lost", () => {
  const { profiles } = describeDecision(trace({ profiles: [profileTrace({ targets: [endpoints[0]!] })] }));
  expect(profiles[0]).toMatchObject({ winner: "default/server-0", runnerUp: "default/server-1" });
});

test("signals carry value and age; an unknown one has neither, and long sets are cut", () => {
  const candidates = describeDecision(trace()).profiles[0]!.candidates;
  const adapters = Array.from({ length: 16 }, (_, i) => `adapter-${i}`).join(", ");
  expect(candidates.find(({ endpoint }) => endpoint === "default/server-0")!.signals).toEqual([
    { signal: "WaitingQueueSize", value: "0", ageMs: 100 },
    { signal: "KVCacheUsagePercent", value: undefined, ageMs: undefined },
    { signal: "ActiveModels", value: `{${adapters}}`, ageMs: 50 },
  ]);
});

test("a signal that is an object is shown as JSON, and a candidate without recorded signals has none", () => {
  const signals = [{ name: "WaitingQueueSize", values: [{ waiting: 3 }], agesMs: Float64Array.of(5) }];
  const view = describeDecision(trace({ signals, signalEndpoints: [endpoints[0]!] }));
  const [second, first] = view.profiles[0]!.candidates;
  expect(first!.signals).toEqual([{ signal: "WaitingQueueSize", value: '{"waiting":3}', ageMs: 5 }]);
  expect(second!.signals).toEqual([]);
});

test("a filter lists what it removed, up to 16 endpoints", () => {
  const many = Array.from({ length: 40 }, (_, slot) => buildEndpoint(slot));
  const filters = [{ plugin: label, before: many, after: many.slice(0, 3), durationMs: 0.75 }];
  const [filter] = describeDecision(trace({ profiles: [profileTrace({ filters })] })).profiles[0]!.filters;
  expect(filter).toEqual({
    plugin: { name: "label", type: "label-selector-filter" },
    before: 40,
    after: 3,
    removed: Array.from({ length: 16 }, (_, i) => `default/server-${i + 3}`),
    durationMs: 0.75,
  });
});

test("stages are shown with their plugins, and a decision under way is pending", () => {
  const stages = [
    { stage: "candidates", plugin: undefined, durationMs: 0, remaining: 3, problem: undefined },
    { stage: "producer", plugin: named({}, "token-producer"), durationMs: 9, remaining: undefined, problem: "threw" },
  ];
  const view = describeDecision(trace({ stages, outcome: undefined }));
  expect(view.stages).toEqual([
    { stage: "candidates", plugin: undefined, durationMs: 0, remaining: 3, problem: undefined },
    {
      stage: "producer",
      plugin: { name: "token-producer", type: "token-producer" },
      durationMs: 9,
      remaining: undefined,
      problem: "threw",
    },
  ]);
  expect(view).toMatchObject({ outcome: "pending", httpStatus: undefined });
});

test("a refused request shows the reply and the error of its profile", () => {
  const outcome = new RequestError("ResourceExhausted", "all are full", "rejected-saturated");
  const failed = profileTrace({ targets: [], picker: undefined, error: outcome });
  const view = describeDecision(trace({ outcome, profiles: [failed], primaryProfile: undefined }));
  expect(view).toMatchObject({ outcome: "inference error: ResourceExhausted - all are full", httpStatus: 429 });
  expect(view.profiles[0]).toMatchObject({
    primary: false,
    error: "all are full",
    picker: undefined,
    winner: undefined,
    runnerUp: undefined,
  });
});

test("a view survives JSON without loss", () => {
  const view = describeDecision(trace());
  expect(JSON.parse(JSON.stringify(view))).toEqual(view);
});
