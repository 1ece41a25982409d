import {
  type AnyPluginDefinition,
  definePlugin,
  type Endpoint,
  type Filter,
  type Picker,
  type PluginHost,
  type ProfileHandler,
  RequestError,
  type SaturationDetector,
  type Scorer,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ContractCheck } from "./contract-check.ts";
import { filterChecks } from "./filter-contract.ts";
import { improvement, lowerIsBetter, monotoneCheck } from "./monotone-in.ts";
import { pickerChecks } from "./picker-contract.ts";
import { profileHandlerChecks } from "./profile-handler-contract.ts";
import { saturationDetectorChecks } from "./saturation-detector-contract.ts";
import { scorerChecks } from "./scorer-contract.ts";
import { endpointSignal } from "./situation.ts";

// Each contract holds for a sound plugin, and each of its promises is broken by a plugin made to break it.

const signals = [endpointSignal(WAITING_QUEUE_SIZE, fc.nat(9))];

async function broken(checks: readonly ContractCheck[]): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { name, run } of checks) {
    try {
      await run();
    } catch {
      names.push(name);
    }
  }
  return names;
}

describe("scorer contract", () => {
  const scorer = (create: (host: PluginHost) => Scorer): AnyPluginDefinition =>
    definePlugin({
      type: "test-scorer",
      kind: "scorer",
      stability: "alpha",
      summary: "Scores in a test.",
      consumes: () => ({ required: [WAITING_QUEUE_SIZE] }),
      create: (_params, host) => create(host),
    });
  const each = (rate: (endpoint: Endpoint, index: number, count: number, host: PluginHost) => number) =>
    scorer((host) => ({
      score: (_request, endpoints, out) => {
        endpoints.forEach((endpoint, i) => {
          out[i] = rate(endpoint, i, endpoints.length, host);
        });
      },
    }));
  const queueOf = (endpoint: Endpoint, host: PluginHost): number | undefined =>
    host.endpointReader(WAITING_QUEUE_SIZE).get(endpoint);
  const freshQueueOf = (endpoint: Endpoint, host: PluginHost): number | undefined =>
    host.endpointReader(WAITING_QUEUE_SIZE).fresh(endpoint, host.clock.now());
  const sound = each((endpoint, _i, _n, host) => 1 / (1 + (freshQueueOf(endpoint, host) ?? Number.POSITIVE_INFINITY)));

  test("holds for a sound scorer", async () => {
    expect(await broken(scorerChecks(sound, { signals }))).toEqual([]);
  });

  test.each([
    ["a score above 1", each(() => 1.01), "scores are numbers from 0 to 1"],
    ["a score below 0", each(() => -0.01), "scores are numbers from 0 to 1"],
    [
      "NaN for unknown data",
      each((endpoint, _i, _n, host) => (queueOf(endpoint, host) ?? Number.NaN) / 9),
      "scores are numbers from 0 to 1",
    ],
    [
      "NaN for an endpoint alone",
      each((_endpoint, i, n) => i / (n - 1)),
      "an endpoint alone gets a number from 0 to 1",
    ],
    ["scores by place in the list", each((_endpoint, i, n) => (i + 1) / n), "scores follow the endpoint"],
    ["random scores from elsewhere", each(() => Math.random()), "the same seed gives the same scores"],
    [
      "writing beyond the end",
      scorer(() => ({ score: (_request, _endpoints, out) => void new Float64Array(out.buffer).fill(1) })),
      "writes nothing outside the array it is given",
    ],
    [
      "sorting the list in place",
      scorer(() => ({
        score: (_request, endpoints) => void (endpoints as Endpoint[]).sort((a, b) => b.slot - a.slot),
      })),
      "changes neither the list nor the endpoints",
    ],
    [
      "writing into an endpoint",
      scorer(() => ({
        score: (_request, endpoints) => {
          for (const endpoint of endpoints) endpoint.writtenAtMs[0] = 0;
        },
      })),
      "changes neither the list nor the endpoints",
    ],
    [
      "a memory of the list before",
      scorer(() => {
        let last = 0;
        return {
          score: (_request, endpoints, out) => {
            out.fill(last === 0 || last === endpoints.length ? 1 : 0);
            last = endpoints.length;
          },
        };
      }),
      "scores depend on this request's endpoints, not on the length of the list before",
    ],
    [
      "the best score for unknown data",
      each((endpoint, _i, _n, host) => 1 / (1 + (freshQueueOf(endpoint, host) ?? 0))),
      "an endpoint of which nothing is known never scores best",
    ],
    [
      "a better score for stale data",
      each((endpoint, _i, _n, host) => (freshQueueOf(endpoint, host) === undefined ? 0.5 : 0.4)),
      "stale data never scores above the same data fresh",
    ],
    [
      "differences where nothing is known",
      each((endpoint, _i, _n, host) => (queueOf(endpoint, host) === undefined ? endpoint.slot / 200 : 1)),
      "endpoints of which nothing is known score alike",
    ],
  ])("fails for %s", async (_what, definition, promise) => {
    expect(await broken(scorerChecks(definition, { signals }))).toContain(promise);
  });

  test("scores by place are allowed to a positional scorer, changes of the set of scores are not", async () => {
    const byPlace = each((_endpoint, i, n) => 1 - i / n);
    expect(await broken(scorerChecks(byPlace, { positional: true }))).toEqual([]);
    const bySlotAndPlace = each((endpoint, i, n) => (1 - i / n) / (1 + endpoint.slot));
    expect(await broken(scorerChecks(bySlotAndPlace, { positional: true }))).toEqual([
      "the set of scores does not depend on the order",
    ]);
  });

  test("monotonicity holds for a sound scorer and fails for one that prefers queues", async () => {
    const shorter = improvement(WAITING_QUEUE_SIZE, lowerIsBetter(fc.nat(9)));
    const inverted = each((endpoint, _i, _n, host) => (queueOf(endpoint, host) ?? 0) / 9);
    expect(await broken([monotoneCheck(sound, shorter, { signals })])).toEqual([]);
    expect(await broken([monotoneCheck(inverted, shorter, { signals })])).toHaveLength(1);
  });

  test("monotonicity in something on the request holds and fails alike", async () => {
    const chosen = {
      name: "header x-prefer",
      request: (endpoints: readonly Endpoint[], index: number) =>
        fc.constant([{}, { headers: { "x-prefer": endpoints[index]!.id } }] as const),
    };
    const following = (match: number, other: number): AnyPluginDefinition =>
      scorer(() => ({
        score: (request, endpoints, out) => {
          endpoints.forEach(({ id }, i) => {
            out[i] = request.headers.get("x-prefer") === id ? match : other;
          });
        },
      }));
    expect(await broken([monotoneCheck(following(1, 0), chosen)])).toEqual([]);
    expect(await broken([monotoneCheck(following(0, 1), chosen)])).toHaveLength(1);
  });
});

describe("filter contract", () => {
  const filter = (run: Filter["filter"]): AnyPluginDefinition =>
    definePlugin({
      type: "test-filter",
      kind: "filter",
      stability: "alpha",
      summary: "Filters in a test.",
      create: () => ({ filter: run }),
    });
  const options = { labels: fc.constantFrom({ keep: "yes" }, { keep: "no" }) };
  const kept = (endpoints: readonly Endpoint[]): readonly Endpoint[] =>
    endpoints.filter(({ metadata }) => metadata.labels["keep"] === "yes");
  const shared: Endpoint[] = [];

  test("holds for a sound filter", async () => {
    const sound = filter((_request, endpoints) => {
      const result = kept(endpoints);
      return result.length === endpoints.length ? endpoints : result;
    });
    expect(await broken(filterChecks(sound, options))).toEqual([]);
  });

  test.each<[string, Filter["filter"], string]>([
    ["a copy when all stay", (_r, endpoints) => kept(endpoints), "returns the same array when all stay"],
    [
      "another order",
      (_r, endpoints) => kept(endpoints).toReversed(),
      "keeps a part of the endpoints, in their order, and adds none",
    ],
    [
      "an endpoint twice",
      (_r, endpoints) => [...endpoints, ...endpoints],
      "keeps a part of the endpoints, in their order, and adds none",
    ],
    ["failing on an empty list", (_r, endpoints) => [endpoints[0]!], "returns an empty list for an empty list"],
    [
      "removing in place",
      (_r, endpoints) => {
        (endpoints as Endpoint[]).pop();
        return endpoints;
      },
      "changes neither the list nor the endpoints",
    ],
    ["the first in the list only", (_r, endpoints) => endpoints.slice(0, 1), "what stays does not depend on the order"],
    [
      "chance from elsewhere",
      (_r, endpoints) => endpoints.filter(() => Math.random() < 0.5),
      "the same seed keeps the same endpoints",
    ],
    [
      "one array used for all results",
      (_r, endpoints) => {
        shared.splice(0, shared.length, ...kept(endpoints));
        return shared;
      },
      "what stays depends on this request's endpoints, not on the list before",
    ],
  ])("fails for %s", async (_what, run, promise) => {
    expect(await broken(filterChecks(filter(run), options))).toContain(promise);
  });
});

describe("picker contract", () => {
  const picker = (create: (host: PluginHost) => Picker["pick"]): AnyPluginDefinition =>
    definePlugin({
      type: "test-picker",
      kind: "picker",
      stability: "alpha",
      summary: "Picks in a test.",
      create: (_params, host) => ({ pick: create(host) }),
    });
  const shared: Endpoint[] = [];

  test("holds for a sound picker", async () => {
    const sound = picker((host) => (_request, endpoints) => [endpoints[Math.floor(host.random() * endpoints.length)]!]);
    expect(await broken(pickerChecks(sound))).toEqual([]);
  });

  test.each<[string, Picker["pick"], string]>([
    ["nothing picked", () => [], "picks 1 of the endpoints, or all when there are fewer, each once"],
    ["too many", (_r, endpoints) => endpoints, "picks 1 of the endpoints, or all when there are fewer, each once"],
    [
      "nothing for a total of 0",
      (_r, endpoints, totals) => endpoints.filter((_, i) => totals[i]! > 0).slice(0, 1),
      "picks an endpoint alone whatever its total",
    ],
    [
      "sorting totals in place",
      (_r, endpoints, totals) => {
        totals.sort();
        return endpoints.slice(0, 1);
      },
      "changes neither the list, the endpoints nor the totals",
    ],
    [
      "the first of equal ones",
      (_r, endpoints, totals) => [endpoints[totals.indexOf(Math.max(...totals))]!],
      "how often an endpoint comes first does not depend on the order",
    ],
    [
      "chance from elsewhere",
      (_r, endpoints) => [endpoints[Math.floor(Math.random() * endpoints.length)]!],
      "the same seed picks the same endpoints",
    ],
    [
      "one array used for all results",
      (_r, endpoints, totals) => {
        shared.splice(0, 1, endpoints[totals.indexOf(Math.max(...totals))]!);
        return shared;
      },
      "a result keeps its endpoints when the next request is decided",
    ],
  ])("fails for %s", async (_what, pick, promise) => {
    expect(await broken(pickerChecks(picker(() => pick)))).toContain(promise);
  });
});

describe("profile handler contract", () => {
  const handler = (methods: Partial<ProfileHandler>): AnyPluginDefinition =>
    definePlugin({
      type: "test-profile-handler",
      kind: "profile-handler",
      stability: "alpha",
      summary: "Handles profiles in a test.",
      create: () => ({ ...sound, ...methods }),
    });
  const sound: ProfileHandler = {
    pickProfiles: (_request, profiles, results) => (results.size === 0 ? profiles : []),
    processResults: (_request, results) => {
      const [name, result] = [...results].find(([, one]) => !(one instanceof RequestError)) ?? [];
      if (name === undefined || result === undefined || result instanceof RequestError) {
        return new RequestError("ServiceUnavailable", "nothing to choose");
      }
      return { primaryProfile: name, profiles: new Map([[name, result]]) };
    },
    checkProfiles: (profiles) => (profiles.length === 0 ? "there is no profile" : undefined),
  };
  const options = { profiles: ["one", "two"] };

  test("holds for a sound handler", async () => {
    expect(await broken(profileHandlerChecks(handler({}), options))).toEqual([]);
  });

  const runsConfigured = "runs configured profiles only, each at most once, and comes to an end";
  const soundDecision = "a decision names a primary profile that chose an endpoint, and no failed profile";
  test.each<[string, Partial<ProfileHandler>, string]>([
    ["a profile run again and again", { pickProfiles: (_r, profiles) => profiles }, runsConfigured],
    ["an unknown profile", { pickProfiles: (_r, _p, results) => (results.size === 0 ? ["x"] : []) }, runsConfigured],
    [
      "failed profiles passed on as results",
      // The contract is about handlers written without the types.
      { processResults: (_r, results) => ({ primaryProfile: "one", profiles: results as never }) },
      soundDecision,
    ],
    [
      "a primary profile without a result",
      { processResults: () => ({ primaryProfile: "one", profiles: new Map() }) },
      soundDecision,
    ],
    [
      "a decision out of nothing",
      { processResults: () => ({ primaryProfile: "one", profiles: new Map() }) },
      "the request ends with an error when every profile fails",
    ],
    [
      "a crash without results",
      { processResults: (_r, results) => results.get("one") as RequestError },
      "the request ends with an error when no profile ran",
    ],
    [
      "no word about missing profiles",
      { checkProfiles: () => undefined },
      "accepts the profiles it is made for, and says what is wrong with none at all",
    ],
    [
      "a choice by chance",
      {
        processResults: (request, results) => {
          const decision = sound.processResults(request, results);
          return decision instanceof RequestError ? new RequestError("Internal", `${Math.random()}`) : decision;
        },
      },
      "the same results lead to the same decision",
    ],
  ])("fails for %s", async (_what, methods, promise) => {
    expect(await broken(profileHandlerChecks(handler(methods), options))).toContain(promise);
  });
});

describe("saturation detector contract", () => {
  const detector = (saturation: SaturationDetector["saturation"]): AnyPluginDefinition =>
    definePlugin({
      type: "test-detector",
      kind: "saturation-detector",
      stability: "alpha",
      summary: "Detects saturation in a test.",
      create: () => ({ saturation }),
    });

  test("holds for a sound detector", async () => {
    const sound = detector((endpoints) => (endpoints.length === 0 ? 1 : 1 / endpoints.length));
    expect(await broken(saturationDetectorChecks(sound))).toEqual([]);
  });

  test.each<[string, SaturationDetector["saturation"], string]>([
    ["no number for an empty pool", (endpoints) => endpoints.length / endpoints.length, "an empty pool is saturated"],
    ["infinity", () => Number.POSITIVE_INFINITY, "saturation is finite and not below 0"],
    ["a negative number", () => -1, "saturation is finite and not below 0"],
    ["the first endpoint only", (endpoints) => endpoints[0]?.slot ?? 1, "saturation does not depend on the order"],
    [
      "a changed endpoint",
      (endpoints) => {
        for (const endpoint of endpoints) endpoint.reachability = "down";
        return 1;
      },
      "changes neither the list nor the endpoints",
    ],
  ])("fails for %s", async (_what, saturation, promise) => {
    expect(await broken(saturationDetectorChecks(detector(saturation)))).toContain(promise);
  });
});
