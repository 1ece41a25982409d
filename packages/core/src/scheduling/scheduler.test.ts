import { expect, test } from "vitest";
import { allProfiles, bestPicker, buildScheduler } from "../../test/build-scheduler.ts";
import { buildEndpoint, buildRequest, named } from "../../test/testkit.ts";
import type { Endpoint } from "../endpoint.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type {
  Filter,
  Picker,
  ProfileHandler,
  ProfileResult,
  ProfileResults,
  SchedulingResult,
  Scorer,
} from "../plugin/scheduling-plugins.ts";
import { RequestError } from "../request-error.ts";

const failures = "llm_d_epp_plugin_failures_total";
const endpoints = [buildEndpoint(0), buildEndpoint(1), buildEndpoint(2)];

function scorer(name: string, scores: readonly number[]): NamedPlugin<Scorer> {
  return named({ score: (_request, list, out) => out.set(list.map(({ slot }) => scores[slot]!)) }, name);
}

function filter(name: string, keep: (endpoint: Endpoint) => boolean): NamedPlugin<Filter> {
  return named({ filter: (_request, list) => list.filter(keep) }, name);
}

function throwing<K extends string>(method: K, thrown: unknown): Record<K, () => never> {
  return {
    [method]: () => {
      throw thrown;
    },
  } as Record<K, () => never>; // A computed key widens to string.
}

/** A handler that names one list of profiles after the other and notes which results it saw. */
function rounds(
  names: readonly (readonly string[])[],
  process: ProfileHandler["processResults"],
): { readonly handler: NamedPlugin<ProfileHandler>; readonly seen: (readonly string[])[] } {
  const seen: (readonly string[])[] = [];
  const instance: ProfileHandler = {
    pickProfiles: (_request, _profiles, results) => {
      seen.push([...results.keys()]);
      return names[seen.length - 1] ?? [];
    },
    processResults: process,
  };
  return { handler: named(instance, "rounds-handler"), seen };
}

function successes(results: ProfileResults): ReadonlyMap<string, ProfileResult> {
  return new Map([...results].flatMap(([name, result]) => (result instanceof RequestError ? [] : [[name, result]])));
}

const primaryOf =
  (primaryProfile: string): ProfileHandler["processResults"] =>
  (_request, results) => ({ primaryProfile, profiles: successes(results) });

function winner(outcome: SchedulingResult | RequestError): string {
  if (outcome instanceof RequestError) return outcome.body;
  return outcome.profiles.get(outcome.primaryProfile)!.targets[0]!.id;
}

test("scores outside 0 to 1 are clamped before the weight applies", () => {
  const { scheduler, logger } = buildScheduler([
    {
      scorers: [
        { plugin: scorer("wild", [7, -3, Number.POSITIVE_INFINITY]), weight: 2 },
        { plugin: scorer("tame", [0.25, 0.5, 1]), weight: 4 },
      ],
    },
  ]);
  const outcome = scheduler.schedule(buildRequest(), endpoints, undefined);
  expect(outcome).toMatchObject({ primaryProfile: "default" });
  expect(outcome instanceof RequestError ? [] : [...outcome.profiles.get("default")!.totals]).toEqual([3, 2, 6]);
  expect(logger.lines).toEqual([]);
});

test("NaN counts as 0, each cycle with NaN counts as a failure once, and the log says it once", () => {
  const { scheduler, logger, metrics } = buildScheduler([
    { scorers: [{ plugin: scorer("lost", [Number.NaN, Number.NaN, 0.5]), weight: 2 }] },
  ]);
  for (let cycle = 1; cycle <= 3; cycle++) {
    const outcome = scheduler.schedule(buildRequest(), endpoints, undefined);
    expect(outcome instanceof RequestError ? [] : [...outcome.profiles.get("default")!.totals]).toEqual([0, 0, 1]);
    expect(metrics.value(failures, { extension_point: "Scorer", plugin_name: "lost" })).toBe(cycle);
  }
  expect(logger.of("error").map(({ fields }) => fields["problem"])).toEqual(["gave NaN as a score; it counts as 0"]);
  expect(logger.of("debug")).toHaveLength(2);
});

test("a scorer that throws half way costs its own opinion and nothing else", () => {
  const half: NamedPlugin<Scorer> = named(
    {
      score: (_request, _endpoints, out) => {
        out[0] = 1;
        throw new Error("lost the table");
      },
    },
    "half-scorer",
  );
  const { scheduler, logger, metrics } = buildScheduler([
    {
      scorers: [
        { plugin: half, weight: 10 },
        { plugin: scorer("other", [0, 1, 0.5]), weight: 1 },
      ],
    },
  ]);
  const outcome = scheduler.schedule(buildRequest(), endpoints, undefined);
  expect(winner(outcome)).toBe("default/server-1");
  expect(outcome instanceof RequestError ? [] : [...outcome.profiles.get("default")!.totals]).toEqual([0, 1, 0.5]);
  expect(logger.of("error")[0]!.fields).toMatchObject({ plugin: "half-scorer", cause: "lost the table" });
  expect(metrics.value(failures)).toBe(1);
});

test("scorers start from zeros and share nothing", () => {
  const given: number[][] = [];
  const dirty: NamedPlugin<Scorer> = named(
    {
      score: (_request, _endpoints, out) => {
        given.push([...out]);
        out.fill(1);
      },
    },
    "dirty-scorer",
  );
  const { scheduler } = buildScheduler([
    {
      scorers: [
        { plugin: dirty, weight: 1 },
        { plugin: dirty, weight: 1 },
      ],
    },
  ]);
  scheduler.schedule(buildRequest(), endpoints, undefined);
  expect(given).toEqual([
    [0, 0, 0],
    [0, 0, 0],
  ]);
});

test("when filters leave nothing, the request ends with 429 and later filters, scorers and the picker do not run", () => {
  const never = (): never => expect.unreachable("runs on an empty list");
  const { scheduler, metrics } = buildScheduler([
    {
      filters: [filter("none", () => false), named({ filter: never }, "later-filter")],
      scorers: [{ plugin: named({ score: never }, "scorer"), weight: 1 }],
      picker: named({ pick: never }, "picker"),
    },
  ]);
  const outcome = scheduler.schedule(buildRequest(), endpoints, undefined);
  expect(outcome).toBeInstanceOf(RequestError);
  expect(outcome).toMatchObject({ httpStatus: 429, reason: "rejected-saturated" });
  expect(metrics.value(failures)).toBe(0);
  expect(metrics.value("llm_d_epp_scheduler_attempts_total", { status: "failure" })).toBe(1);
  expect(metrics.value("llm_d_epp_scheduler_attempts_total", { status: "success" })).toBe(0);
});

test("no candidates at all end the same way", () => {
  const { scheduler } = buildScheduler([{}]);
  expect(scheduler.schedule(buildRequest(), [], undefined)).toMatchObject({
    code: "ResourceExhausted",
    reason: "rejected-saturated",
  });
});

test.each([
  {
    name: "a filter that throws ends its profile as Internal",
    profile: { filters: [named(throwing("filter", new Error("boom")), "bad")] },
    body: 'inference error: Internal - filter "bad" failed',
    failed: { extension_point: "Filter", plugin_name: "bad" },
  },
  {
    name: "a picker that throws ends its profile as Internal",
    profile: { picker: named(throwing("pick", "no error object"), "bad") },
    body: 'inference error: Internal - picker "bad" failed',
    failed: { extension_point: "Picker", plugin_name: "bad" },
  },
  {
    name: "a picker that picks nothing ends its profile as Internal",
    profile: { picker: named<Picker>({ pick: () => [] }, "idle") },
    body: 'inference error: Internal - picker "idle" picked nothing',
    failed: { extension_point: "Picker", plugin_name: "idle" },
  },
])("$name", ({ profile, body, failed }) => {
  const { scheduler, metrics, logger } = buildScheduler([profile]);
  expect(winner(scheduler.schedule(buildRequest(), endpoints, undefined))).toBe(body);
  expect(metrics.value(failures, failed)).toBe(1);
  expect(metrics.value(failures)).toBe(1);
  expect(logger.of("error")).toHaveLength(1);
});

test("a filter that throws a request error gives the request that error", () => {
  const refusal = new RequestError("Forbidden", "not for you");
  const { scheduler, metrics } = buildScheduler([{ filters: [named(throwing("filter", refusal), "gate")] }]);
  expect(scheduler.schedule(buildRequest(), endpoints, undefined)).toBe(refusal);
  expect(metrics.value(failures)).toBe(0);
});

test("the handler runs profiles round by round and sees the results so far", () => {
  const { handler, seen } = rounds([["decode"], ["prefill", "encode"], []], primaryOf("decode"));
  const { scheduler } = buildScheduler(
    [
      { name: "prefill", filters: [filter("second", ({ slot }) => slot === 1)] },
      { name: "decode", filters: [filter("third", ({ slot }) => slot === 2)] },
      { name: "encode", filters: [filter("none", () => false)] },
      { name: "unused", picker: named(throwing("pick", new Error("runs")), "unused-picker") },
    ],
    handler,
  );
  const outcome = scheduler.schedule(buildRequest(), endpoints, undefined);
  expect(seen).toEqual([[], ["decode"], ["decode", "prefill", "encode"]]);
  expect(outcome).toMatchObject({ primaryProfile: "decode" });
  if (outcome instanceof RequestError) return expect.unreachable(outcome.body);
  expect([...outcome.profiles].map(([name, { targets }]) => [name, targets[0]!.slot])).toEqual([
    ["decode", 2],
    ["prefill", 1],
  ]);
});

test("the handler is told the profiles in configuration order", () => {
  let told: readonly string[] = [];
  const handler: NamedPlugin<ProfileHandler> = named(
    {
      pickProfiles: (_request, profiles, results) => {
        told = profiles;
        return results.size === 0 ? ["b"] : [];
      },
      processResults: primaryOf("b"),
    },
    "handler",
  );
  const { scheduler } = buildScheduler([{ name: "c" }, { name: "b" }, { name: "a" }], handler);
  scheduler.schedule(buildRequest(), endpoints, undefined);
  expect(told).toEqual(["c", "b", "a"]);
});

test.each([
  { name: "unknown profiles", second: ["no-such-profile"] },
  { name: "a profile that already ran", second: ["default", "default"] },
])("a handler that names $name ends the cycle with the results so far", ({ second }) => {
  let picks = 0;
  const counting: NamedPlugin<Picker> = named(
    {
      pick: (...given) => {
        picks++;
        return bestPicker.instance.pick(...given);
      },
    },
    "counting-picker",
  );
  const { handler, seen } = rounds([["default", "no-such-profile", "default"], second, ["late"]], primaryOf("default"));
  const { scheduler } = buildScheduler([{ picker: counting }, { name: "late" }], handler);
  expect(winner(scheduler.schedule(buildRequest(), endpoints, undefined))).toBe("default/server-0");
  expect(picks).toBe(1);
  expect(seen).toEqual([[], ["default"]]);
});

test("a handler that names nothing ends the request with 429", () => {
  const { handler } = rounds([[]], primaryOf("default"));
  const { scheduler } = buildScheduler([{}], handler);
  expect(winner(scheduler.schedule(buildRequest(), endpoints, undefined))).toBe(
    "inference error: ResourceExhausted - failed to find target endpoint: no profile was run for the request",
  );
});

test("an error that the handler returns or throws reaches the request", () => {
  const refusal = new RequestError("NotFound", "no decode worker");
  for (const process of [() => refusal, throwing("processResults", refusal).processResults]) {
    const { handler } = rounds([["default"]], process);
    const { scheduler, metrics } = buildScheduler([{}], handler);
    expect(scheduler.schedule(buildRequest(), endpoints, undefined)).toBe(refusal);
    expect(metrics.value(failures)).toBe(0);
  }
});

test.each([
  {
    name: "throws while picking profiles",
    handler: { ...allProfiles.instance, ...throwing("pickProfiles", new Error("boom")) },
    point: "ProfilePicker",
    problem: "threw",
  },
  {
    name: "throws while processing results",
    handler: { ...allProfiles.instance, ...throwing("processResults", new Error("boom")) },
    point: "ProcessProfilesResults",
    problem: "threw",
  },
  {
    name: "names a primary profile that did not run",
    handler: { ...allProfiles.instance, processResults: primaryOf("other") },
    point: "ProcessProfilesResults",
    problem: "names a primary profile without a target",
  },
])("a handler that $name costs the request, counted once at that point", ({ handler, point, problem }) => {
  const { scheduler, metrics, logger } = buildScheduler([{}], named<ProfileHandler>(handler, "bad-handler"));
  expect(winner(scheduler.schedule(buildRequest(), endpoints, undefined))).toBe(
    "inference error: Internal - scheduling failed; see the log of the endpoint picker",
  );
  expect(metrics.series(failures).map(({ labels, value }) => [labels["extension_point"], value])).toEqual([[point, 1]]);
  expect(logger.of("error").map(({ fields }) => fields["problem"])).toEqual([problem]);
});

test("each plugin call, each run and its outcome are timed and counted", () => {
  const { scheduler, metrics, clock } = buildScheduler([
    {
      filters: [
        named<Filter>(
          {
            filter: (_request, list) => {
              clock.advance(2);
              return list;
            },
          },
          "slow-filter",
        ),
      ],
      scorers: [{ plugin: named<Scorer>({ score: () => clock.advance(3) }, "slow-scorer"), weight: 1 }],
    },
  ]);
  const request = buildRequest();
  const startMs = clock.now();
  scheduler.schedule(request, endpoints, undefined);
  expect(request.nowMs).toBe(startMs);
  const times = metrics
    .series("llm_d_epp_plugin_duration_seconds")
    .map(({ labels, observations }) => [labels["extension_point"], labels["plugin_name"], observations]);
  expect(times).toEqual([
    ["ProfilePicker", "all-profiles-handler", [0, 0]],
    ["Filter", "slow-filter", [0.002]],
    ["Scorer", "slow-scorer", [0.003]],
    ["Picker", "best-picker", [0]],
    ["ProcessProfilesResults", "all-profiles-handler", [0]],
  ]);
  expect(metrics.observations("llm_d_epp_scheduler_e2e_duration_seconds")).toEqual([0.005]);
  expect(metrics.value("llm_d_epp_scheduler_attempts_total", { status: "success" })).toBe(1);
});
