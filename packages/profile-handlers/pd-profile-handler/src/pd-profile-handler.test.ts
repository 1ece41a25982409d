import {
  type DisaggregationDecider,
  type Endpoint,
  type MetricsRegistry,
  noMetrics,
  type ProfileResult,
  RequestError,
  type SchedulingResult,
} from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, pluginContract, profileHandlerContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import pdProfileHandler from "./index.ts";

const decode = buildEndpoint(0, { address: "10.0.0.1", port: 8002 });
const spare = buildEndpoint(1, { address: "10.0.0.2", port: 8003 });
const prefill = buildEndpoint(2, { address: "fd00::1", port: 8001 });
const found = (...targets: readonly Endpoint[]): ProfileResult => ({
  targets,
  candidates: targets,
  totals: new Float64Array(targets.length),
});
const drained = new RequestError("ResourceExhausted", "no endpoint left", "rejected-saturated");
const both = ["decode", "prefill"];
const decider = (answer: boolean) => ({ "prefix-based-pd-decider": { disaggregate: () => answer } });

pluginContract(pdProfileHandler, { testFile: import.meta.url, plugins: decider(true) });

test("says which plugin its parameters refer to", () => {
  const outcome = pdProfileHandler.params!["~standard"].validate({});
  if (outcome instanceof Promise || outcome.issues !== undefined) throw new Error("the defaults are refused");
  expect(pdProfileHandler.references!(outcome.value)).toEqual([
    { path: ["deciderPluginName"], name: "prefix-based-pd-decider" },
  ]);
});

interface Setting {
  readonly params?: unknown;
  readonly answer?: boolean;
  readonly outcomes?: Readonly<Record<string, ProfileResult | RequestError>>;
  readonly profiles?: readonly string[];
}

function run({ params = {}, answer = true, outcomes = {}, profiles = both }: Setting = {}) {
  const counted: string[] = [];
  const metrics: MetricsRegistry = {
    ...noMetrics,
    counter: ({ name }) => ({
      labels: (...values) => ({ inc: () => counted.push([name, ...values].join(" ")) }),
      remove: () => {},
    }),
  };
  const { instance } = buildPlugin(pdProfileHandler, { params, plugins: decider(answer), metrics, name: "pd" });
  const request = buildRequest();
  const results = new Map<string, ProfileResult | RequestError>();
  const all: Readonly<Record<string, ProfileResult | RequestError>> = {
    decode: found(decode, spare),
    prefill: found(prefill),
    ...outcomes,
  };
  for (let round = 0; round < 5; round++) {
    const next = instance.pickProfiles!(request, profiles, results);
    if (next.length === 0) break;
    for (const name of next) results.set(name, all[name]!);
  }
  const decision = instance.processResults!(request, results);
  if (!(decision instanceof RequestError)) instance.preRequest!(request, decision);
  return { ran: [...results.keys()], decision, headers: Object.fromEntries(request.upstreamHeaders), counted };
}

function resultOf({ decision }: { readonly decision: SchedulingResult | RequestError }): SchedulingResult {
  if (decision instanceof RequestError) throw new Error(decision.message);
  return decision;
}

// The handler cannot be made without its decider, so its contract runs with one that the host knows.
profileHandlerContract(
  {
    ...pdProfileHandler,
    create: (params, host) => {
      const pd: DisaggregationDecider = { disaggregate: () => true };
      return pdProfileHandler.create(params, { ...host, plugin: () => pd });
    },
  },
  { profiles: both },
);

test("a yes runs prefill and names its endpoint", () => {
  const cycle = run();
  expect(cycle.ran).toEqual(["decode", "prefill"]);
  expect([...resultOf(cycle).profiles.keys()]).toEqual(["decode", "prefill"]);
  expect(resultOf(cycle)).toMatchObject({ primaryProfile: "decode", prefillProfile: "prefill" });
  expect(cycle.headers).toEqual({ "x-prefiller-host-port": "[fd00::1]:8001" });
  expect(cycle.counted).toEqual(["llm_d_epp_pd_decision_total pd pd-profile-handler test-model prefill-decode"]);
});

test.each([
  { name: "a no", setting: { answer: false } },
  { name: "no prefill profile", setting: { profiles: ["decode"] } },
  { name: "a prefill profile without an endpoint", setting: { outcomes: { prefill: drained } } },
])("$name: decode alone", ({ setting }) => {
  const cycle = run(setting);
  expect([...resultOf(cycle).profiles.keys()]).toEqual(["decode"]);
  expect(cycle.headers).toEqual({});
  expect(cycle.counted).toEqual(["llm_d_epp_pd_decision_total pd pd-profile-handler test-model decode-only"]);
});

test("drained decode filters answer 429 with their reason, and prefill does not run", () => {
  const cycle = run({ outcomes: { decode: drained } });
  expect(cycle.ran).toEqual(["decode"]);
  expect(cycle.decision).toMatchObject({ httpStatus: 429, reason: "rejected-saturated" });
  expect(cycle.counted).toEqual([]);
});

test("with a primary port the request goes there, the header names the rank, and there are no fallbacks", () => {
  const cycle = run({ params: { primaryPort: 9000 } });
  const result = resultOf(cycle);
  expect(result.destinationPort).toBe(9000);
  expect(result.profiles.get("decode")?.targets).toEqual([decode]);
  expect(cycle.headers).toEqual({
    "x-data-parallel-host-port": "10.0.0.1:8002",
    "x-prefiller-host-port": "[fd00::1]:8001",
  });
});

test("without a primary port all targets stay, at their own ports", () => {
  const result = resultOf(run());
  expect(result).not.toHaveProperty("destinationPort");
  expect(result.profiles.get("decode")?.targets).toEqual([decode, spare]);
});

test("profiles and decider can be named; parameters without effect are accepted", () => {
  const params = {
    decodeProfile: "d",
    prefillProfile: "p",
    deciderPluginName: "mine",
    prefixPluginType: "prefix-cache-scorer",
    prefixPluginName: "x",
    prefixMatchInfoProducerName: "y",
  };
  expect(() => buildPlugin(pdProfileHandler, { params, plugins: decider(true) })).toThrow(
    'deciderPluginName: there is no plugin "mine"',
  );
  expect(() => buildPlugin(pdProfileHandler, { params, plugins: { mine: { score: () => {} } } })).toThrow(
    'deciderPluginName: plugin "mine" is no decider',
  );
  const { instance } = buildPlugin(pdProfileHandler, { params, plugins: { mine: { disaggregate: () => true } } });
  expect(instance.pickProfiles!(buildRequest(), ["d", "p"], new Map())).toEqual(["d"]);
  expect(instance.checkProfiles!(["decode"])).toBe(
    "pd-profile-handler needs a scheduling profile called d; there are: decode",
  );
});

test.each([
  { primaryPort: -1 },
  { primaryPort: 65536 },
  { deciderPluginName: "" },
  { prefillProfile: "decode" },
  { x: 1 },
])("%j is refused", (params) => {
  expect(() => buildPlugin(pdProfileHandler, { params, plugins: decider(true) })).toThrow(Object.keys(params)[0]);
});

test("property: prefill is in the decision exactly when it was wanted and found an endpoint", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.boolean(), fc.nat(65535), (answer, fails, primaryPort) => {
      const outcomes = fails ? { prefill: drained } : undefined;
      const cycle = run({ answer, params: { primaryPort }, ...(outcomes === undefined ? {} : { outcomes }) });
      const result = resultOf(cycle);
      expect(result.profiles.has("prefill")).toBe(answer && !fails);
      expect(result.destinationPort).toBe(primaryPort === 0 ? undefined : primaryPort);
      expect("x-data-parallel-host-port" in cycle.headers).toBe(primaryPort !== 0);
    }),
  );
});
