import { type Endpoint, IN_FLIGHT_LOAD, silentLogger } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  filterContract,
  pluginContract,
  saturationDetectorContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limitsWithHeadroom } from "./concurrency-detector.ts";
import concurrencyDetector from "./index.ts";

const counts = fc.oneof({ weight: 4, arbitrary: fc.nat(200) }, { weight: 1, arbitrary: fc.double() });
const signals = [endpointSignal(IN_FLIGHT_LOAD.from(), fc.record({ requests: counts, tokens: counts }))];
const modes = ["requests", "tokens", "hybrid"] as const;

pluginContract(concurrencyDetector, { testFile: import.meta.url });
for (const concurrencyMode of modes) {
  describe(concurrencyMode, () => {
    const params = { concurrencyMode, maxTokenConcurrency: 100, headroom: 0.2 };
    saturationDetectorContract(concurrencyDetector, { params, signals });
    filterContract(concurrencyDetector, { params, signals });
  });
}

type Load = readonly [requests: number, tokens: number] | undefined;

function pool(loads: readonly Load[], producer?: string): readonly Endpoint[] {
  return loads.map((load, slot) => {
    if (load === undefined) return buildEndpoint(slot);
    const [requests, tokens] = load;
    return buildEndpoint(slot, { attributes: [[IN_FLIGHT_LOAD.from(producer), { requests, tokens }, 0]] });
  });
}

const small = { maxConcurrency: 10, maxTokenConcurrency: 1000 };
const saturation = (params: object, loads: readonly Load[], producer?: string): number =>
  buildPlugin(concurrencyDetector, { params }).instance.saturation!(pool(loads, producer), 1e9);

// Source: spec flow-control section 8.
describe("saturation", () => {
  test.each([
    {
      mode: "requests",
      loads: [
        [4, 9999],
        [2, 0],
      ],
      expected: 0.3,
    },
    {
      mode: "tokens",
      loads: [
        [99, 500],
        [99, 100],
      ],
      expected: 0.3,
    },
    {
      mode: "hybrid",
      loads: [
        [4, 500],
        [2, 100],
      ],
      expected: 0.35,
    },
    {
      mode: "requests",
      loads: [
        [10, 0],
        [10, 0],
        [10, 0],
      ],
      expected: 1,
    },
    {
      mode: "requests",
      loads: [
        [30, 0],
        [10, 0],
      ],
      expected: 2,
    },
    {
      mode: "requests",
      loads: [
        [3, 0],
        [17, 0],
      ],
      expected: 1,
    },
  ] as { mode: string; loads: Load[]; expected: number }[])(
    "in $mode of $loads is $expected",
    ({ mode, loads, expected }) => {
      expect(saturation({ ...small, concurrencyMode: mode }, loads)).toBe(expected);
    },
  );

  test("an endpoint whose load is unknown, or nothing a count can be, counts as full", () => {
    for (const concurrencyMode of modes) {
      const params = { ...small, concurrencyMode };
      expect(saturation(params, [[0, 0], undefined])).toBe(0.5);
      expect(
        saturation(params, [
          [0, 0],
          [Number.NaN, Number.NaN],
        ]),
      ).toBe(0.5);
      expect(
        saturation(params, [
          [0, 0],
          [-1, -1],
        ]),
      ).toBe(0.5);
    }
  });

  test("by default 100 requests fill an endpoint and tokens do not count", () => {
    expect(saturation({}, [[50, 9e9]])).toBe(0.5);
    expect(saturation({ concurrencyMode: "tokens" }, [[0, 250_000]])).toBe(0.25);
  });

  test("headroom does not count", () => {
    expect(saturation({ ...small, headroom: 1 }, [[10, 0]])).toBe(1);
  });

  test("the load is that of the producer that is named", () => {
    const params = { ...small, inFlightLoadProducerName: "far" };
    expect(saturation(params, [[5, 0]], "far")).toBe(0.5);
    expect(saturation(params, [[5, 0]])).toBe(1);
  });

  test("more load never lowers it", () => {
    const load = fc.tuple(fc.nat(30), fc.nat(3000));
    const lists = fc.array(load, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.constantFrom(...modes), lists, load, (concurrencyMode, loads, [requests, tokens]) => {
        const params = { ...small, concurrencyMode };
        const [first] = loads as [[number, number]];
        const more = loads.with(0, [first[0] + requests, first[1] + tokens]);
        expect(saturation(params, more)).toBeGreaterThanOrEqual(saturation(params, loads));
      }),
    );
  });
});

describe("as a filter", () => {
  const kept = (params: object, loads: readonly Load[]): readonly number[] => {
    const { instance } = buildPlugin(concurrencyDetector, { params: { ...small, ...params } });
    return instance.filter!(buildRequest({ nowMs: 1e9 }), pool(loads)).map(({ slot }) => slot);
  };

  test.each([
    {
      mode: "requests",
      loads: [
        [9, 9999],
        [10, 0],
      ],
      slots: [0],
    },
    {
      mode: "tokens",
      loads: [
        [99, 999],
        [0, 1000],
      ],
      slots: [0],
    },
    {
      mode: "hybrid",
      loads: [
        [9, 999],
        [10, 0],
        [0, 1000],
      ],
      slots: [0],
    },
  ] as { mode: string; loads: Load[]; slots: number[] }[])(
    "$mode: keeps what is below the limit",
    ({ mode, loads, slots }) => {
      expect(kept({ concurrencyMode: mode }, loads)).toEqual(slots);
    },
  );

  test("headroom raises the limits to whole numbers", () => {
    expect(limitsWithHeadroom({ requests: 10, tokens: 1000 }, 0.19)).toEqual({ requests: 11, tokens: 1190 });
    expect(
      kept({ headroom: 0.19 }, [
        [10, 0],
        [11, 0],
      ]),
    ).toEqual([0]);
    expect(
      kept({ headroom: 0.2 }, [
        [11, 0],
        [12, 0],
      ]),
    ).toEqual([0]);
    expect(
      kept({ headroom: 0.5, concurrencyMode: "hybrid" }, [
        [14, 1499],
        [15, 0],
        [0, 1500],
      ]),
    ).toEqual([0]);
  });

  test("may keep none", () => {
    expect(
      kept({}, [
        [10, 0],
        [11, 0],
      ]),
    ).toEqual([]);
    expect(kept({}, [[10, 0], undefined])).toEqual([]);
  });

  test("an endpoint whose load is unknown goes, unless nothing is known of any", () => {
    expect(kept({}, [[1, 0], undefined])).toEqual([0]);
    expect(kept({}, [undefined, undefined])).toEqual([0, 1]);
  });
});

describe("parameters", () => {
  test.each([
    { concurrencyMode: "bytes" },
    { maxConcurrency: 0 },
    { maxConcurrency: 1.5 },
    { maxTokenConcurrency: -1 },
    { headroom: -0.1 },
    { limit: 1 },
  ])("%j is refused", (params) => {
    expect(() => buildPlugin(concurrencyDetector, { params })).toThrow(Object.keys(params)[0]);
  });

  test("headroom above 1 is allowed and warned of", () => {
    const warnings: unknown[] = [];
    const logger = { ...silentLogger, warn: (fields: unknown) => warnings.push(fields) };
    buildPlugin(concurrencyDetector, { params: { headroom: 1 }, logger });
    buildPlugin(concurrencyDetector, { params: { headroom: 1.5 }, logger });
    expect(warnings).toEqual([{ headroom: 1.5 }]);
  });
});
