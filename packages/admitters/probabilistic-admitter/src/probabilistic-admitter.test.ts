import { type Endpoint, KV_CACHE_USAGE, WAITING_QUEUE_SIZE } from "@pointsman/core";
import {
  admitterContract,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  pluginContract,
  situationNowMs,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import probabilisticAdmitter from "./index.ts";
import { refusalProbability } from "./probabilistic-admitter.ts";

pluginContract(probabilisticAdmitter, { testFile: import.meta.url });
admitterContract(probabilisticAdmitter, {
  // Powers of two: their sums are exact in any order.
  params: { queueDepthThreshold: 4, kvCacheUtilThreshold: 0.5 },
  signals: [endpointSignal(WAITING_QUEUE_SIZE, fc.nat(4)), endpointSignal(KV_CACHE_USAGE, fc.constantFrom(0, 0.25, 1))],
  request: () => fc.constantFrom(-1, 0).map((priority) => ({ priority })),
});

const endpoint = (slot: number, queued: number | undefined, usedShare: number | undefined, atMs = situationNowMs) =>
  buildEndpoint(slot, {
    attributes: [
      ...(queued === undefined ? [] : [[WAITING_QUEUE_SIZE, queued, atMs] as const]),
      ...(usedShare === undefined ? [] : [[KV_CACHE_USAGE, usedShare, atMs] as const]),
    ],
  });

/** Share of requests that are refused, over many draws. */
function refusedShare(endpoints: readonly Endpoint[], params: unknown = {}, priority = -1): number {
  const { instance } = buildPlugin(probabilisticAdmitter, { params });
  const tries = 4000;
  let refused = 0;
  for (let i = 0; i < tries; i++) {
    if (instance.admitRequest!(buildRequest({ priority, nowMs: situationNowMs }), endpoints) !== undefined) refused++;
  }
  return refused / tries;
}

const defaults = { queueDepthThreshold: 5, kvCacheUtilThreshold: 0.8, power: 5, k: 300 };

test.each([
  { saturation: 0, probability: 0 },
  { saturation: 0.1, probability: 0.003 },
  { saturation: 0.2, probability: 0.096 },
  { saturation: 0.5, probability: 1 },
  { saturation: 2, probability: 1 },
])("saturation $saturation refuses with probability $probability", ({ saturation, probability }) => {
  expect(refusalProbability(saturation, defaults)).toBeCloseTo(probability, 12);
});

test("a saturated pool refuses sheddable requests with 429", () => {
  const { instance } = buildPlugin(probabilisticAdmitter);
  const denied = instance.admitRequest!(buildRequest({ priority: -1, nowMs: situationNowMs }), [endpoint(0, 50, 0.9)]);
  expect(denied?.httpStatus).toBe(429);
  expect(denied?.reason).toBe("rejected-saturated");
  expect(denied?.message).toBe("request cannot be admitted: system saturated, sheddable request dropped");
});

test("a request that may not be shed is admitted, however full the pool", () => {
  expect(refusedShare([endpoint(0, 500, 1)], {}, 0)).toBe(0);
  expect(refusedShare([endpoint(0, 500, 1)], {}, 7)).toBe(0);
});

test("without endpoints a request is admitted", () => {
  expect(refusedShare([])).toBe(0);
});

test("an idle pool refuses nobody", () => {
  expect(refusedShare([endpoint(0, 0, 0), endpoint(1, 0, 0)])).toBe(0);
});

test("the share refused is the mean over endpoints of the fuller signal, by power and factor", () => {
  // Saturation (0.4 + 0.2) / 2 = 0.3; 0.3^1 * 1 = 0.3.
  const share = refusedShare([endpoint(0, 2, 0.1), endpoint(1, 0, 0.16)], { power: 1, k: 1 });
  expect(share).toBeGreaterThan(0.27);
  expect(share).toBeLessThan(0.33);
});

test("an endpoint of which nothing is known, or nothing fresh, counts as full", () => {
  const params = { power: 1, k: 1 };
  expect(refusedShare([buildEndpoint(0)], params)).toBe(1);
  expect(refusedShare([endpoint(0, 0, 0, situationNowMs - 5000)], params)).toBe(1);
});

test.each([-1, Number.POSITIVE_INFINITY, Number.NaN])(
  "a figure of %d, which no engine can have, counts as full",
  (figure) => {
    expect(refusedShare([endpoint(0, figure, 0)], { power: 1, k: 1 })).toBe(1);
    expect(refusedShare([endpoint(0, 0, figure)], { power: 1, k: 1 })).toBe(1);
  },
);

test("a signal that an engine never reports is left out", () => {
  expect(refusedShare([endpoint(0, undefined, 0)], { power: 1, k: 1 })).toBe(0);
  expect(refusedShare([endpoint(0, 0, undefined)], { power: 1, k: 1 })).toBe(0);
});

test("property: the probability lies in 0 to 1 and grows with saturation", () => {
  const positive = fc.double({ min: 0.01, max: 1000, noNaN: true });
  fc.assert(
    fc.property(positive, positive, positive, positive, (low, more, power, k) => {
      const params = { ...defaults, power, k };
      const [before, after] = [refusalProbability(low, params), refusalProbability(low + more, params)];
      expect(before).toBeGreaterThanOrEqual(0);
      expect(after).toBeLessThanOrEqual(1);
      expect(after).toBeGreaterThanOrEqual(before);
    }),
  );
});

test.each(["queueDepthThreshold", "kvCacheUtilThreshold", "power", "k"])("%s must be above 0", (name) => {
  for (const value of [0, -1, "5"]) {
    expect(() => buildPlugin(probabilisticAdmitter, { params: { [name]: value } })).toThrow(name);
  }
});
