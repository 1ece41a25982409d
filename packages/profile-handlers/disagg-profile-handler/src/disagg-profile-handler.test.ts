import {
  type DisaggregationDecider,
  type Endpoint,
  type InferenceRequest,
  type MetricsRegistry,
  PEER_ENDPOINT,
  type ProfileResult,
  prefillTarget,
  RequestError,
  type SchedulingResult,
  silentLogger,
} from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, pluginContract, profileHandlerContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import disaggProfileHandler from "./index.ts";

const decode = buildEndpoint(0, { name: "decode", address: "10.0.0.1", port: 8000 });
const prefill = buildEndpoint(1, { name: "prefill", address: "fd00::1", port: 8001 });
const encoders = [2, 3].map((slot) => buildEndpoint(slot, { name: `encode-${slot}`, address: `10.0.0.${slot}` }));
const found = (...targets: readonly Endpoint[]): ProfileResult => ({
  targets,
  candidates: targets,
  totals: new Float64Array(targets.length),
});
const drained = new RequestError("ResourceExhausted", "no endpoint left", "rejected-saturated");
const all = ["decode", "prefill", "encode"];

type Outcome = ProfileResult | RequestError;
const outcomes: Readonly<Record<string, Outcome>> = {
  decode: found(decode, prefill),
  prefill: found(prefill),
  encode: found(...encoders),
};

interface Cycle {
  /** Profiles in the order they ran. */
  readonly ran: readonly string[];
  /** Peer that each profile's plugins saw. */
  readonly peers: readonly (string | undefined)[];
  readonly decision: SchedulingResult | RequestError;
  readonly headers: Readonly<Record<string, string>>;
  readonly counted: readonly string[];
  readonly request: InferenceRequest;
}

interface Setting {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly prefill?: boolean | DisaggregationDecider;
  readonly encode?: boolean | DisaggregationDecider;
  readonly profiles?: readonly string[];
  readonly outcomes?: Readonly<Record<string, Outcome>>;
  readonly model?: string;
}

const deciderFor = (answer: boolean | DisaggregationDecider): DisaggregationDecider =>
  typeof answer === "boolean" ? { disaggregate: () => answer } : answer;

/** Runs the handler as the scheduler does. */
function run(setting: Setting = {}): Cycle {
  const { profiles = all, model = "m" } = setting;
  const counted: string[] = [];
  const metrics = countingMetrics(counted);
  const { instance } = buildPlugin(disaggProfileHandler, {
    metrics,
    name: "disagg",
    params: {
      ...setting.params,
      deciders: {
        ...(setting.prefill === undefined ? {} : { prefill: "pd" }),
        ...(setting.encode === undefined ? {} : { encode: "mm" }),
      },
    },
    plugins: { pd: deciderFor(setting.prefill ?? false), mm: deciderFor(setting.encode ?? false) },
  });
  const request = buildRequest({ body: { model } });
  const results = new Map<string, Outcome>();
  const peers: (string | undefined)[] = [];
  for (let round = 0; round < 10; round++) {
    const next = instance.pickProfiles!(request, profiles, results);
    if (next.length === 0) break;
    for (const name of next) {
      peers.push(request.attributes.get(PEER_ENDPOINT)?.id);
      results.set(name, { ...outcomes, ...setting.outcomes }[name]!);
    }
  }
  const decision = instance.processResults!(request, results);
  if (!(decision instanceof RequestError)) instance.preRequest!(request, decision);
  return {
    ran: [...results.keys()],
    peers,
    decision,
    headers: Object.fromEntries(request.upstreamHeaders),
    counted,
    request,
  };
}

function countingMetrics(counted: string[]): MetricsRegistry {
  const family = (name: string) => ({
    labels: (...values: readonly string[]) => ({
      inc: () => counted.push(`${name} ${values.join(" ")}`),
      dec: () => {},
      set: () => {},
      observe: () => {},
    }),
    remove: () => {},
  });
  return {
    counter: ({ name }) => family(name),
    gauge: ({ name }) => family(name),
    histogram: ({ name }) => family(name),
  };
}

function resultOf({ decision }: Cycle): SchedulingResult {
  if (decision instanceof RequestError) throw new Error(decision.message);
  return decision;
}

const yes = { disaggregate: () => true };
const plugins = { pd: yes, mm: yes };
const bothDeciders = { deciders: { prefill: "pd", encode: "mm" } };
pluginContract(disaggProfileHandler, { testFile: import.meta.url, params: bothDeciders, plugins });
profileHandlerContract(disaggProfileHandler, { profiles: all });
profileHandlerContract(disaggProfileHandler, { params: { stageOrder: "prefill-first" }, profiles: all });
// The contract makes its instances itself, so the deciders come from a host that knows them.
profileHandlerContract(
  {
    ...disaggProfileHandler,
    create: (params, host) => disaggProfileHandler.create(params, { ...host, plugin: () => yes }),
  },
  { params: bothDeciders, profiles: all },
);

describe("decode-first", () => {
  test("runs decode, encode, prefill, and all of them make the decision", () => {
    const cycle = run({ prefill: true, encode: true });
    expect(cycle.ran).toEqual(["decode", "encode", "prefill"]);
    const result = resultOf(cycle);
    expect(result.primaryProfile).toBe("decode");
    expect(result.prefillProfile).toBe("prefill");
    expect([...result.profiles.keys()].toSorted()).toEqual(["decode", "encode", "prefill"]);
    expect(prefillTarget(result)).toBe(prefill);
  });

  test.each([
    { name: "no deciders: decode alone", setting: {}, ran: ["decode"] },
    { name: "both say no: decode alone", setting: { prefill: false, encode: false }, ran: ["decode"] },
    { name: "prefill without encode", setting: { prefill: true, encode: false }, ran: ["decode", "prefill"] },
    { name: "encode without prefill", setting: { prefill: false, encode: true }, ran: ["decode", "encode"] },
    { name: "no prefill profile", setting: { prefill: true, profiles: ["decode"] }, ran: ["decode"] },
    { name: "no encode profile", setting: { encode: true, profiles: ["decode", "prefill"] }, ran: ["decode"] },
    {
      name: "decode fails: nothing more",
      setting: { prefill: true, encode: true, outcomes: { decode: drained } },
      ran: ["decode"],
    },
    {
      name: "encode fails: prefill still runs",
      setting: { prefill: true, encode: true, outcomes: { encode: drained } },
      ran: ["decode", "encode", "prefill"],
    },
  ])("$name", ({ setting, ran }) => {
    expect(run(setting).ran).toEqual(ran);
  });

  test("deciders are asked once each, with the decode endpoint", () => {
    const asked: unknown[] = [];
    const noting = (name: string, answer: boolean): DisaggregationDecider => ({
      disaggregate: (_request, target) => {
        asked.push([name, target?.id]);
        return answer;
      },
    });
    run({ prefill: noting("prefill", true), encode: noting("encode", true) });
    run({ prefill: noting("prefill", true), encode: noting("encode", false) });
    const once = [
      ["encode", decode.id],
      ["prefill", decode.id],
    ];
    expect(asked).toEqual([...once, ...once]);
  });

  test("only plugins of prefill see the decode endpoint as peer", () => {
    expect(run({ prefill: true, encode: true }).peers).toEqual([undefined, undefined, decode.id]);
    expect(run({ prefill: false }).request.attributes.get(PEER_ENDPOINT)).toBeUndefined();
  });

  test("a decider that throws costs its stage, and is logged as an error once", () => {
    const errors: unknown[] = [];
    const logger = { ...silentLogger, error: (fields: unknown) => errors.push(fields) };
    const pd: DisaggregationDecider = {
      disaggregate: () => {
        throw new Error("broken");
      },
    };
    const params = { deciders: { prefill: "pd" } };
    const { instance } = buildPlugin(disaggProfileHandler, { params, plugins: { pd }, logger });
    const results = new Map([["decode", found(decode)]]);
    for (let i = 0; i < 3; i++) expect(instance.pickProfiles!(buildRequest(), all, results)).toEqual([]);
    expect(errors).toEqual([{ decider: "pd", problem: "broken" }]);
  });
});

describe("prefill-first", () => {
  const params = { stageOrder: "prefill-first" };

  test("runs prefill, encode, decode; decode's plugins see the prefill endpoint as peer", () => {
    const cycle = run({ params, encode: true });
    expect(cycle.ran).toEqual(["prefill", "encode", "decode"]);
    expect(cycle.peers).toEqual([undefined, undefined, prefill.id]);
    expect(resultOf(cycle).primaryProfile).toBe("decode");
  });

  test.each([
    { name: "without encode decider", setting: {}, ran: ["prefill", "decode"] },
    { name: "the encode decider says no", setting: { encode: false }, ran: ["prefill", "decode"] },
    {
      name: "no prefill profile",
      setting: { encode: true, profiles: ["decode", "encode"] },
      ran: ["encode", "decode"],
    },
    { name: "decode alone", setting: { profiles: ["decode"] }, ran: ["decode"] },
    {
      name: "prefill and encode fail: decode runs",
      setting: { encode: true, outcomes: { prefill: drained, encode: drained } },
      ran: ["prefill", "encode", "decode"],
    },
  ])("$name", ({ setting, ran }) => {
    expect(run({ params, ...setting }).ran).toEqual(ran);
  });

  test("the encode decider is asked once, before an endpoint is chosen", () => {
    const asked: unknown[] = [];
    const encode: DisaggregationDecider = { disaggregate: (_request, target) => asked.push(target?.id) > 99 };
    run({ params, encode });
    run({ params, encode, profiles: ["decode", "encode"] });
    expect(asked).toEqual([undefined, undefined]);
  });

  test("a failed prefill leaves no peer and does not fail the request", () => {
    const cycle = run({ params, outcomes: { prefill: drained } });
    expect(cycle.peers).toEqual([undefined, undefined]);
    expect([...resultOf(cycle).profiles.keys()]).toEqual(["decode"]);
    expect(cycle.headers).toEqual({});
  });
});

describe("without a decode endpoint", () => {
  test("drained filters answer 429 with their reason", () => {
    const { decision } = run({ outcomes: { decode: drained } });
    expect(decision).toEqual(
      new RequestError(
        "ResourceExhausted",
        "failed to find available decode workers: no endpoint left",
        "rejected-saturated",
      ),
    );
  });

  test("another error keeps its code", () => {
    const { decision } = run({ outcomes: { decode: new RequestError("Internal", 'filter "f" failed') } });
    expect(decision).toMatchObject({ httpStatus: 500 });
  });

  test("nothing is counted", () => {
    expect(run({ outcomes: { decode: drained } }).counted).toEqual([]);
  });
});

describe("headers for the sidecar", () => {
  test("name the first prefill endpoint and all encode endpoints", () => {
    expect(run({ prefill: true, encode: true }).headers).toEqual({
      "x-prefiller-host-port": "[fd00::1]:8001",
      "x-encoder-hosts-ports": "10.0.0.2:8002,10.0.0.3:8003",
    });
  });

  test("are absent for stages that did not run or found nothing", () => {
    expect(run().headers).toEqual({});
    expect(run({ prefill: true, outcomes: { prefill: drained } }).headers).toEqual({});
  });

  test("follow the configured profiles", () => {
    const cycle = run({
      params: { profiles: { decode: "d", prefill: "p", encode: "e" } },
      prefill: true,
      profiles: ["d", "p"],
      outcomes: { d: found(decode), p: found(prefill) },
    });
    expect(cycle.headers).toEqual({ "x-prefiller-host-port": "[fd00::1]:8001" });
    expect(resultOf(cycle)).toMatchObject({ primaryProfile: "d", prefillProfile: "p" });
  });
});

describe("the decision metric", () => {
  test.each([
    { type: "decode-only", setting: {} },
    { type: "prefill-decode", setting: { prefill: true } },
    { type: "encode-decode", setting: { encode: true } },
    { type: "encode-prefill-decode", setting: { prefill: true, encode: true } },
    { type: "decode-only", setting: { prefill: true, outcomes: { prefill: drained } } },
    { type: "prefill-decode", setting: { prefill: true, encode: true, outcomes: { encode: drained } } },
  ])("counts $type for $setting", ({ type, setting }) => {
    expect(run(setting).counted).toEqual([`llm_d_epp_disagg_decision_total disagg disagg-profile-handler m ${type}`]);
  });

  test("a request without a model counts as unknown", () => {
    expect(run({ model: "" }).counted).toEqual([
      "llm_d_epp_disagg_decision_total disagg disagg-profile-handler unknown decode-only",
    ]);
  });

  test("model names beyond a thousand count as other", () => {
    const counted: string[] = [];
    const { instance } = buildPlugin(disaggProfileHandler, { metrics: countingMetrics(counted) });
    for (let i = 0; i < 1002; i++) {
      instance.processResults!(buildRequest({ body: { model: `m${i}` } }), new Map([["decode", found(decode)]]));
    }
    expect(new Set(counted.map((line) => line.split(" ")[3])).size).toBe(1001);
    expect(counted.at(-1)).toContain(" other ");
  });
});

describe("the configuration", () => {
  const check = (params: unknown, profiles: readonly string[]) => {
    const warnings: unknown[] = [];
    const logger = { ...silentLogger, warn: (fields: { problem?: unknown }) => warnings.push(fields.problem) };
    const { instance } = buildPlugin(disaggProfileHandler, { params, plugins, logger });
    return { complaint: instance.checkProfiles!(profiles), warnings };
  };

  test("is refused without the decode profile", () => {
    expect(check({}, ["default", "prefill"]).complaint).toBe(
      "disagg-profile-handler needs a scheduling profile called decode; there are: default, prefill",
    );
  });

  test("that has an effect gets no warning", () => {
    expect(check(bothDeciders, all).warnings).toEqual([]);
    expect(check({ stageOrder: "prefill-first" }, ["decode", "prefill"]).warnings).toEqual([]);
  });

  test("that has none in parts gets a warning for each", () => {
    expect(check({}, [...all, "extra"]).warnings).toEqual([
      "profile prefill never runs: it has no decider",
      "profile encode never runs: it has no decider",
      "profile extra never runs: it is no stage",
    ]);
    expect(check(bothDeciders, ["decode"]).warnings).toEqual([
      "decider pd is never asked: there is no profile prefill",
      "decider mm is never asked: there is no profile encode",
    ]);
  });

  test("asks for no data of its own: deciders say what they need", () => {
    expect(disaggProfileHandler.consumes).toBeUndefined();
  });
});

test("property: what ran and succeeded is in the decision; headers tell exactly that", () => {
  const outcome = (targets: readonly Endpoint[]): fc.Arbitrary<Outcome> =>
    fc.oneof(
      fc.subarray([...targets], { minLength: 1 }).map((chosen) => found(...chosen)),
      fc.constant(drained),
    );
  fc.assert(
    fc.property(
      fc.record({
        stageOrder: fc.constantFrom("decode-first", "prefill-first"),
        prefill: fc.boolean(),
        encode: fc.boolean(),
        profiles: fc.subarray(["prefill", "encode"]),
        decode: outcome([decode]),
        prefillOutcome: outcome([prefill, decode]),
        encodeOutcome: outcome(encoders),
      }),
      (one) => {
        const first = one.stageOrder === "decode-first";
        const cycle = run({
          params: { stageOrder: one.stageOrder },
          ...(first ? { prefill: one.prefill } : {}),
          encode: one.encode,
          profiles: ["decode", ...one.profiles],
          outcomes: { decode: one.decode, prefill: one.prefillOutcome, encode: one.encodeOutcome },
        });
        if (one.decode instanceof RequestError) {
          expect(cycle.decision).toBeInstanceOf(RequestError);
          return;
        }
        const runs = (name: "prefill" | "encode", wanted: boolean, result: Outcome): boolean =>
          one.profiles.includes(name) && wanted && !(result instanceof RequestError);
        const prefills = runs("prefill", first ? one.prefill : true, one.prefillOutcome);
        const encodes = runs("encode", one.encode, one.encodeOutcome);
        const { profiles } = resultOf(cycle);
        expect(profiles.has("prefill")).toBe(prefills);
        expect(profiles.has("encode")).toBe(encodes);
        expect(cycle.headers["x-prefiller-host-port"]).toBe(profiles.get("prefill")?.targets[0]?.hostPort);
        expect(cycle.headers["x-encoder-hosts-ports"]).toBe(
          profiles
            .get("encode")
            ?.targets.map(({ hostPort }) => hostPort)
            .join(","),
        );
        expect(cycle.counted).toHaveLength(1);
      },
    ),
  );
});
