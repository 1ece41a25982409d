import {
  type Endpoint,
  type InferenceRequest,
  PREFIX_MATCH,
  type SchedulingResult,
  silentLogger,
  slotTableLength,
} from "@pointsman/core";
import {
  type BuildPluginOptions,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  pluginContract,
  type RequestOptions,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import noHitLruScorer from "./index.ts";

function withMatch(matchedBlocks: readonly number[], producer?: string): RequestOptions {
  const table = Int32Array.from(matchedBlocks);
  const match = { totalBlocks: 4, blockSizeTokens: 64, matchedBlocks: table, cachedBlocks: table };
  return { attributes: [[PREFIX_MATCH.from(producer), match]] };
}

const cold = (): InferenceRequest => buildRequest(withMatch([]));
const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

function chosen(primary: Endpoint, others: Readonly<Record<string, Endpoint>> = {}): SchedulingResult {
  const profile = (target: Endpoint) => ({ targets: [target], candidates: [target], totals: Float64Array.of(1) });
  const profiles = new Map(Object.entries(others).map(([name, target]) => [name, profile(target)]));
  return { primaryProfile: "decode", profiles: profiles.set("decode", profile(primary)) };
}

/** A scorer over a pool of endpoints that a test may change. */
function scorerOver(endpoints: Endpoint[], options: BuildPluginOptions = {}) {
  const { instance } = buildPlugin(noHitLruScorer, { ...options, endpoints: () => endpoints });
  const scores = (request: InferenceRequest, candidates: readonly Endpoint[] = endpoints): number[] => {
    const out = new Float64Array(candidates.length);
    instance.score!(request, candidates, out);
    return [...out];
  };
  return {
    instance,
    scores,
    /** Sends a request to an endpoint. */
    route: (result: SchedulingResult, request: InferenceRequest = cold()): void => {
      scores(request);
      instance.preRequest!(request, result);
    },
  };
}

pluginContract(noHitLruScorer, {
  testFile: import.meta.url,
  params: { lruSize: 5000 },
  exercise: ({ instance }) => {
    for (const endpoint of pool(300)) {
      const request = cold();
      instance.score!(request, [endpoint], new Float64Array(1));
      instance.preRequest!(request, chosen(endpoint));
    }
  },
});
scorerContract(noHitLruScorer, {
  positional: true,
  request: (endpoints) =>
    fc.oneof(
      fc.constant<RequestOptions>({}),
      fc
        .array(fc.nat(1), { minLength: slotTableLength(endpoints), maxLength: slotTableLength(endpoints) })
        .map((blocks) => withMatch(blocks)),
      fc.constant(withMatch([])),
    ),
});

// Source: spec scheduling-plugins, golden values of no-hit-lru-scorer.
test("cold prompt, three endpoints never used: 1, 0.5, 0", () => {
  expect(scorerOver(pool(3)).scores(cold())).toEqual([1, 0.5, 0]);
});

// Source: spec scheduling-plugins, golden values of no-hit-lru-scorer.
test("cold prompt, one endpoint used and two not: the used one 0, the others 1 and 0.5", () => {
  const endpoints = pool(3);
  const scorer = scorerOver(endpoints);
  scorer.route(chosen(endpoints[0]!));
  expect(scorer.scores(cold())).toEqual([0, 1, 0.5]);
});

test("when all are used, the one whose use lies back longest is best", () => {
  const endpoints = pool(4);
  const scorer = scorerOver(endpoints);
  for (const slot of [2, 0, 3, 1, 0]) scorer.route(chosen(endpoints[slot]!));
  expect(scorer.scores(cold())).toEqual([0, 1 - 2 / 3, 1, 1 - 1 / 3]);
});

test("a single candidate gets 1, used or not", () => {
  const endpoints = pool(2);
  const scorer = scorerOver(endpoints);
  expect(scorer.scores(cold(), [endpoints[0]!])).toEqual([1]);
  scorer.route(chosen(endpoints[0]!));
  expect(scorer.scores(cold(), [endpoints[0]!])).toEqual([1]);
});

test("a prompt some candidate holds scores 0.5 everywhere and counts as no use", () => {
  const endpoints = pool(2);
  const scorer = scorerOver(endpoints);
  const warm = buildRequest(withMatch([0, 1]));
  expect(scorer.scores(warm)).toEqual([0.5, 0.5]);
  scorer.instance.preRequest!(warm, chosen(endpoints[0]!));
  expect(scorer.scores(cold())).toEqual([1, 0]);
});

test("only candidates make a prompt cached", () => {
  const endpoints = pool(3);
  const scorer = scorerOver(endpoints);
  expect(scorer.scores(buildRequest(withMatch([0, 0, 4])), endpoints.slice(0, 2))).toEqual([1, 0]);
});

test("without a match a prompt counts as cold", () => {
  expect(scorerOver(pool(2)).scores(buildRequest())).toEqual([1, 0]);
});

test("endpoints that are no candidates do not push the others down", () => {
  const endpoints = pool(5);
  const scorer = scorerOver(endpoints);
  for (const endpoint of endpoints) scorer.route(chosen(endpoint));
  expect(scorer.scores(cold(), [endpoints[4]!, endpoints[2]!])).toEqual([0, 1]);
});

test("the profile that ran last says whether the prompt was cold", () => {
  const endpoints = pool(2);
  const scorer = scorerOver(endpoints);
  const request = buildRequest(withMatch([0, 1]));
  scorer.scores(request, [endpoints[0]!]);
  scorer.scores(request, [endpoints[1]!]);
  scorer.instance.preRequest!(request, chosen(endpoints[1]!));
  expect(scorer.instance.dumpState!()).toMatchObject({ totalEndpoints: 0 });
});

test("a request that was not scored counts as no use", () => {
  const endpoints = pool(1);
  const scorer = scorerOver(endpoints);
  scorer.instance.preRequest!(cold(), chosen(endpoints[0]!));
  expect(scorer.instance.dumpState!()).toMatchObject({ totalEndpoints: 0 });
});

test("the target of the profile named prefill is used after the primary one", () => {
  const endpoints = pool(3);
  const scorer = scorerOver(endpoints);
  scorer.route(chosen(endpoints[0]!, { prefill: endpoints[1]!, encode: endpoints[2]! }));
  expect(scorer.instance.dumpState!()).toMatchObject({ endpoints: ["default/server-0", "default/server-1"] });
});

test("the prefill target is the one the profile handler names, whatever its profile is called", () => {
  const endpoints = pool(3);
  const scorer = scorerOver(endpoints);
  const result = chosen(endpoints[0]!, { prefill: endpoints[1]!, warm: endpoints[2]! });
  scorer.route({ ...result, prefillProfile: "warm" });
  expect(scorer.instance.dumpState!()).toMatchObject({ endpoints: ["default/server-0", "default/server-2"] });
});

test("a deleted endpoint is forgotten, and the next one in its slot counts as never used", () => {
  const endpoints = pool(2);
  const scorer = scorerOver(endpoints);
  for (const endpoint of endpoints) scorer.route(chosen(endpoint));
  const gone = endpoints[1]!;
  scorer.instance.endpointChanged!({ type: "addOrUpdate", endpoint: gone });
  expect(scorer.instance.dumpState!()).toMatchObject({ totalEndpoints: 2 });
  endpoints[1] = buildEndpoint(1, { name: "successor" });
  expect(scorer.scores(cold())).toEqual([0, 1]);
  scorer.instance.endpointChanged!({ type: "delete", endpoint: gone });
  expect(scorer.instance.dumpState!()).toEqual({
    endpoints: ["default/server-0"],
    totalEndpoints: 1,
    maxEndpoints: 100,
  });
});

test("a decision for an endpoint that has gone meanwhile leaves nothing behind", () => {
  const endpoints = pool(2);
  const scorer = scorerOver(endpoints);
  const request = cold();
  scorer.scores(request);
  const [gone] = endpoints.splice(0, 1);
  scorer.instance.preRequest!(request, chosen(gone!));
  expect(scorer.instance.dumpState!()).toMatchObject({ totalEndpoints: 0 });
});

test("of more endpoints than remembered, those used longest ago count as never used", () => {
  const endpoints = pool(3);
  const scorer = scorerOver(endpoints, { params: { lruSize: 2 } });
  for (const endpoint of endpoints) scorer.route(chosen(endpoint));
  expect(scorer.instance.dumpState!()).toMatchObject({ endpoints: ["default/server-1", "default/server-2"] });
  expect(scorer.scores(cold())).toEqual([1, 0.5, 0]);
});

test("a size of 0 or less is the default", () => {
  const endpoints = pool(1100);
  const scorer = scorerOver(endpoints, { params: { lruSize: -1 } });
  for (const endpoint of endpoints) scorer.route(chosen(endpoint));
  expect(scorer.instance.dumpState!()).toMatchObject({ totalEndpoints: 1024 });
});

test("the matches are those of the producer that is named", () => {
  const scorer = scorerOver(pool(2), { params: { prefixMatchInfoProducerName: "far" } });
  expect(scorer.scores(buildRequest(withMatch([1, 0], "far")))).toEqual([0.5, 0.5]);
  expect(scorer.scores(buildRequest(withMatch([1, 0])))).toEqual([1, 0]);
});

test("deprecated parameters are ignored and warn", () => {
  const warnings: unknown[] = [];
  const logger = { ...silentLogger, warn: (fields: unknown) => warnings.push(fields) };
  scorerOver(pool(1), { params: { prefixPluginType: "a", prefixPluginName: "b" }, logger });
  expect(warnings).toEqual([{ parameter: "prefixPluginType" }, { parameter: "prefixPluginName" }]);
});

test("scores of cold prompts are even steps from 1 to 0, in the order of use", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(9), { maxLength: 40 }),
      fc.uniqueArray(fc.nat(9), { minLength: 2 }),
      fc.integer({ min: 1, max: 12 }),
      (uses, candidateSlots, lruSize) => {
        const endpoints = pool(10);
        const scorer = scorerOver(endpoints, { params: { lruSize } });
        for (const slot of uses) scorer.route(chosen(endpoints[slot]!));
        const remembered = [...new Set(uses.toReversed())].slice(0, lruSize).toReversed();
        const order = candidateSlots
          .filter((slot) => !remembered.includes(slot))
          .concat(remembered.filter((slot) => candidateSlots.includes(slot)));
        const scores = scorer.scores(
          cold(),
          candidateSlots.map((slot) => endpoints[slot]!),
        );
        candidateSlots.forEach((slot, i) => {
          expect(scores[i]).toBeCloseTo(1 - order.indexOf(slot) / (order.length - 1), 12);
        });
      },
    ),
  );
});
