import { expect, test } from "vitest";
import { buildControl } from "../../test/build-control.ts";
import { buildEndpoint, buildRequest, named } from "../../test/testkit.ts";
import { WAITING_QUEUE_SIZE } from "../attributes/metric-attributes.ts";
import { PREFIX_MATCH } from "../attributes/prefix-match.ts";
import { AGENT_IDENTITY } from "../attributes/request-attributes.ts";
import { TOKENIZED_PROMPT } from "../attributes/tokenized-prompt.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Admitter, PreRequest, RequestHeaderProcessor, Screener } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import { RequestError } from "../request-error.ts";
import { wireNames } from "../wire-names.ts";
import type { Objectives } from "./model-rewrite.ts";
import type { RequestControlOptions } from "./request-control.ts";

const endpoints = [buildEndpoint(0), buildEndpoint(1), buildEndpoint(2)];

type Outcome = SchedulingResult | RequestError | Promise<SchedulingResult | RequestError>;

function chosen(outcome: Outcome): string {
  if (outcome instanceof Promise) return "a promise";
  if (outcome instanceof RequestError) return outcome.body;
  return outcome.profiles.get(outcome.primaryProfile)!.targets[0]!.id;
}

/** A router of plugins that write their calls, by kind and name, into one list. */
function recordingOptions(calls: string[]): Partial<RequestControlOptions> {
  const hook =
    <T>(call: string, value: T) =>
    (): T => {
      calls.push(call);
      return value;
    };
  return {
    endpoints: hook("endpoints", endpoints),
    rewrites: { choose: hook("rewrite", undefined) },
    objectives: { priorityOf: hook("objective", 3) },
    requestHeaderProcessors: ["b", "a"].map((name) =>
      named<RequestHeaderProcessor>(
        {
          requestHeaders: ({ priority, fairnessId }) => {
            calls.push(`header ${name} (priority ${priority}, flow "${fairnessId}")`);
            return undefined;
          },
        },
        name,
      ),
    ),
    admission: {
      admit: ({ fairnessId }) => {
        calls.push(`admission (flow "${fairnessId}")`);
        return undefined;
      },
    },
    screeners: ["b", "a"].map((name) => named<Screener>({ screen: hook(`screener ${name}`, endpoints) }, name)),
    producers: [["b", "a"], ["c"]].map((level) =>
      level.map((name) => named({ produce: hook(`producer ${name}`, undefined) }, name)),
    ),
    admitters: ["b", "a"].map((name) => named<Admitter>({ admitRequest: hook(`admitter ${name}`, undefined) }, name)),
    preRequests: ["b", "a"].map((name) =>
      named<PreRequest>({ preRequest: hook(`pre-request ${name}`, undefined) }, name),
    ),
  };
}

test("stages run in the documented order, plugins of one kind in configuration order", () => {
  const calls: string[] = [];
  const { control } = buildControl({
    ...recordingOptions(calls),
    profile: {
      filters: [
        named({
          filter: (_request, list) => {
            calls.push("filter");
            return list;
          },
        }),
      ],
    },
  });
  const request = buildRequest({
    headers: { "x-llm-d-inference-objective": "gold", "x-llm-d-inference-fairness-id": "tenant" },
    body: { rewriteModel: () => [] },
  });
  expect(chosen(control.route(request, () => calls.push("decided")))).toBe("default/server-0");
  expect(calls.filter((call, i) => !(call === "endpoints" && calls[i - 1] === "endpoints"))).toEqual([
    "rewrite",
    "objective",
    'header b (priority 3, flow "tenant")',
    'header a (priority 3, flow "tenant")',
    'admission (flow "tenant")',
    "endpoints",
    "screener b",
    "screener a",
    "producer b",
    "producer a",
    "producer c",
    "admitter b",
    "admitter a",
    "filter",
    "decided",
    "pre-request b",
    "pre-request a",
  ]);
});

test("the conditional decode gate comes after scheduling and before the pre-request plugins", () => {
  const calls: string[] = [];
  const { control } = buildControl(recordingOptions(calls));
  const outcome = control.route(buildRequest({ headers: { prefer: "if-available" } }), () => calls.push("decided"));
  expect(chosen(outcome)).toBe("inference error: PreconditionFailed - no decode worker has the requested KV cache");
  expect(calls.at(-1)).toBe("admitter a");
});

test("an error of a request header plugin ends the request before admission", () => {
  const calls: string[] = [];
  const refusal = new RequestError("Unauthorized", "who are you");
  const options = recordingOptions(calls);
  const refusing = named<RequestHeaderProcessor>({ requestHeaders: () => refusal }, "refusing");
  const { control } = buildControl({
    ...options,
    requestHeaderProcessors: [options.requestHeaderProcessors![0]!, refusing, options.requestHeaderProcessors![1]!],
  });
  expect(control.route(buildRequest())).toBe(refusal);
  expect(calls).toEqual(['header b (priority 0, flow "default-flow")']);
});

test("a model that cannot be resolved ends the request before anything else", () => {
  const calls: string[] = [];
  const { control } = buildControl({ ...recordingOptions(calls), endpoints: () => [] });
  const request = buildRequest({ body: { model: undefined, rewriteModel: () => [] } });
  expect(chosen(control.route(request))).toBe("inference error: BadRequest - model not found in request body");
  expect(calls).toEqual(["rewrite"]);
});

const goldIsFour: Objectives = { priorityOf: (objective) => (objective === "gold" ? 4 : undefined) };
const current = "x-llm-d-inference-objective";
const deprecated = "x-gateway-inference-objective";

test.each([
  { name: "the current header", headers: { [current]: "gold" }, priority: 4 },
  { name: "the deprecated header", headers: { [deprecated]: "gold" }, priority: 4 },
  {
    name: "the current header over the deprecated one",
    headers: { [deprecated]: "gold", [current]: "tin" },
    priority: 0,
  },
  {
    name: "an empty current header over the deprecated one",
    headers: { [deprecated]: "gold", [current]: "" },
    priority: 0,
  },
  { name: "an unknown objective as 0", headers: { [current]: "tin" }, priority: 0 },
  { name: "no header as 0", headers: {}, priority: 0 },
])("priority comes from $name", async ({ headers, priority }) => {
  const { control } = buildControl({ endpoints: () => endpoints, objectives: goldIsFour });
  const request = buildRequest({ headers });
  await control.route(request);
  expect(request.priority).toBe(priority);
});

test("without known objectives every objective has priority 0", async () => {
  const { control } = buildControl({ endpoints: () => endpoints });
  const request = buildRequest({ headers: { [current]: "gold" } });
  await control.route(request);
  expect(request.priority).toBe(0);
});

const flow = "x-llm-d-inference-fairness-id";
const oldFlow = "x-gateway-inference-fairness-id";

test.each([
  { name: "the current header", headers: { [flow]: "new", [oldFlow]: "old" }, agent: "agent", fairnessId: "new" },
  { name: "the deprecated header", headers: { [oldFlow]: "old" }, agent: "agent", fairnessId: "old" },
  {
    name: "the agent when the header is empty",
    headers: { [flow]: "", [oldFlow]: "old" },
    agent: "agent",
    fairnessId: "agent",
  },
  { name: "the agent without a header", headers: {}, agent: "agent", fairnessId: "agent" },
  { name: "the default flow without either", headers: {}, agent: undefined, fairnessId: "default-flow" },
  { name: "the default flow for an empty agent", headers: {}, agent: "", fairnessId: "default-flow" },
])("the fairness id is $name", async ({ headers, agent, fairnessId }) => {
  // Request header plugins run before the fallback, so that they can name the agent.
  const naming: NamedPlugin<RequestHeaderProcessor> = named({
    requestHeaders: (request) => {
      request.attributes.set(AGENT_IDENTITY, agent);
      return undefined;
    },
  });
  const { control } = buildControl({ endpoints: () => endpoints, requestHeaderProcessors: [naming] });
  const request = buildRequest({ headers });
  await control.route(request);
  expect(request.fairnessId).toBe(fairnessId);
});

test.each([
  { name: "no endpoint is known", known: [] as readonly Endpoint[], metadata: undefined },
  { name: "the subset hint is empty", known: endpoints, metadata: [] },
  { name: "the subset hint matches none", known: endpoints, metadata: ["10.9.9.9:80"] },
])("a request ends with 503 when $name", ({ known, metadata }) => {
  const { control } = buildControl({ endpoints: () => known });
  const proxyMetadata =
    metadata === undefined ? {} : { [wireNames.subsetNamespace]: { [wireNames.destinationSubset]: metadata } };
  expect(control.route(buildRequest({ proxyMetadata }))).toMatchObject({
    code: "ServiceUnavailable",
    message: "failed to find endpoint candidates for serving the request",
    reason: "rejected-no-endpoints",
  });
});

const onlySecond = { [wireNames.subsetNamespace]: { [wireNames.destinationSubset]: ["127.0.0.1:8001"] } };

test("the subset hint limits the candidates, unless hints are to be ignored", () => {
  const request = () => buildRequest({ proxyMetadata: onlySecond });
  const hinted = buildControl({ endpoints: () => endpoints });
  expect(chosen(hinted.control.route(request()))).toBe("default/server-1");
  const ignoring = buildControl({ endpoints: () => endpoints, ignoreSubsetHint: true });
  expect(chosen(ignoring.control.route(request()))).toBe("default/server-0");
});

test("endpoints that are down get requests only when the hint leaves no other", () => {
  const list = [buildEndpoint(0), buildEndpoint(1)];
  list[0]!.reachability = "up";
  list[1]!.reachability = "down";
  const { control } = buildControl({ endpoints: () => list.toReversed() });
  expect(chosen(control.route(buildRequest()))).toBe("default/server-0");
  expect(chosen(control.route(buildRequest({ proxyMetadata: onlySecond })))).toBe("default/server-1");
});

test.each([
  { name: "any endpoint", slots: [2, 1, 0], matched: [0, 0, 0] },
  { name: "the target", slots: [0, 1, 2], matched: [0, 5, 5] },
  { name: "the target, whose slot the table does not reach", slots: [2], matched: [1] },
])("a conditional decode is refused with 412 without a match for $name", ({ slots, matched }) => {
  const { control } = buildControl({ endpoints: () => slots.map((slot) => endpoints[slot]!) });
  expect(control.route(conditional("if-available", matched))).toMatchObject({
    code: "PreconditionFailed",
    httpStatus: 412,
  });
});

test.each([
  { name: "the target has a match", prefer: "if-available", matched: [1, 0, 0] },
  { name: "the client prefers something else", prefer: "respond-async, if-available-soon", matched: undefined },
  { name: "the client prefers nothing", prefer: undefined, matched: undefined },
])("a decode goes on when $name", ({ prefer, matched }) => {
  const { control } = buildControl({ endpoints: () => endpoints });
  expect(chosen(control.route(conditional(prefer, matched)))).toBe("default/server-0");
});

test.each(["If-Available", "wait=5, if-available", "respond-async,if-available;x=1 , other"])(
  "%j asks for a conditional decode",
  (prefer) => {
    const { control } = buildControl({ endpoints: () => endpoints });
    expect(control.route(conditional(prefer, undefined))).toMatchObject({ code: "PreconditionFailed" });
  },
);

function conditional(prefer: string | undefined, matched: readonly number[] | undefined) {
  const request = buildRequest({ headers: prefer === undefined ? {} : { prefer } });
  if (matched !== undefined) {
    const blocks = Int32Array.from(matched);
    const match = { totalBlocks: 8, blockSizeTokens: 16, matchedBlocks: blocks, cachedBlocks: blocks };
    request.attributes.set(PREFIX_MATCH.from(), match);
  }
  return request;
}

test("a decision record holds the request, its stages and the signals of the candidates", () => {
  const calls: string[] = [];
  const { control, decisions, clock } = buildControl({
    ...recordingOptions(calls),
    recordedSignals: [WAITING_QUEUE_SIZE, PREFIX_MATCH.from()],
    producers: [[named({ produce: () => clock.advance(30) }, "slow-producer")]],
  });
  const request = buildRequest({
    id: "request-9",
    headers: { "x-llm-d-inference-fairness-id": "tenant", "x-llm-d-model-name-rewrite": "asked" },
  });
  request.attributes.set(TOKENIZED_PROMPT.from(), { prompts: [], totalTokens: 42, estimated: true });
  const blocks = Int32Array.of(1, 0, 2);
  const match = { totalBlocks: 2, blockSizeTokens: 64, matchedBlocks: blocks, cachedBlocks: blocks };
  request.attributes.set(PREFIX_MATCH.from(), match);
  expect(chosen(control.route(request))).toBe("default/server-0");
  const [trace] = decisions.recent(1);
  expect(trace).toMatchObject({
    requestId: "request-9",
    model: "test-model",
    targetModel: "asked",
    fairnessId: "tenant",
    promptTokens: 42,
    knownEndpoints: 3,
    primaryProfile: "default",
    outcome: "routed",
    durationMs: 30,
  });
  expect(trace!.stages.map(({ stage, plugin, remaining }) => [stage, plugin?.name, remaining])).toEqual([
    ["RequestHeader", "b", undefined],
    ["RequestHeader", "a", undefined],
    ["candidates", undefined, 3],
    ["screener", "b", 3],
    ["screener", "a", 3],
    ["producer", "slow-producer", undefined],
    ["Admission", "b", undefined],
    ["Admission", "a", undefined],
    ["ProfilePicker", "all-profiles-handler", undefined],
    ["ProfilePicker", "all-profiles-handler", undefined],
    ["PreRequest", "b", undefined],
    ["PreRequest", "a", undefined],
  ]);
  expect(trace!.signalEndpoints).toEqual(endpoints);
  expect(trace!.signals.map(({ name }) => name)).toEqual([
    "WaitingQueueSize",
    "PrefixCacheMatchInfoDataKey.matchedBlocks",
    "PrefixCacheMatchInfoDataKey.totalBlocks",
  ]);
});

test("a refused request leaves its error in the record", () => {
  const { control, decisions } = buildControl();
  const outcome = control.route(buildRequest());
  const [trace] = decisions.recent(1);
  expect(trace!.outcome).toBe(outcome);
  expect(trace!.signalEndpoints).toEqual([]);
});
