import {
  KV_CACHE_USAGE,
  type Logger,
  type MetricsRegistry,
  noMetrics,
  silentLogger,
  WAITING_QUEUE_SIZE,
} from "@pointsman/core";
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
import utilizationDetector from "./index.ts";
import { fillSaturations, neverReported } from "./utilization-detector.ts";

const nowMs = 10_000;
const queues = fc.oneof({ weight: 4, arbitrary: fc.nat(12) }, { weight: 1, arbitrary: fc.double() });
const shares = fc.oneof({ weight: 4, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }, fc.double());
const situation = {
  signals: [endpointSignal(WAITING_QUEUE_SIZE, queues), endpointSignal(KV_CACHE_USAGE, shares)],
  stalenessMs: 200,
};

pluginContract(utilizationDetector, { testFile: import.meta.url });
saturationDetectorContract(utilizationDetector, situation);
filterContract(utilizationDetector, situation);

describe("saturation", () => {
  const params = { queueDepthThreshold: 5, kvCacheUtilThreshold: 0.9 };

  test("of one endpoint is the larger of queue and cache use against their thresholds", () => {
    expect(saturation([endpoint(0, 2, 0.5)], params)).toBeCloseTo(0.5556, 4);
    expect(saturation([endpoint(0, 4, 0.09)], params)).toBe(0.8);
  });

  test("of the pool is the mean, and an endpoint with stale figures counts 1", () => {
    expect(saturation([endpoint(0, 1, 0.18), endpoint(1, 0, 0, nowMs - 201)], params)).toBeCloseTo(0.6, 12);
  });

  test("goes above 1 when thresholds are exceeded", () => {
    expect(saturation([endpoint(0, 15, 0)], params)).toBe(3);
  });

  test("of an endpoint that never reported is 1", () => {
    expect(saturation([buildEndpoint(0)], params)).toBe(1);
  });

  test("a signal the engine never reports is left out", () => {
    expect(saturation([endpoint(0, 1, undefined)], params)).toBe(0.2);
    expect(saturation([endpoint(0, undefined, 0.45)], params)).toBe(0.5);
  });

  test("one stale signal makes the endpoint count 1, however idle the other says it is", () => {
    const mixed = buildEndpoint(0, {
      attributes: [
        [WAITING_QUEUE_SIZE, 0, nowMs],
        [KV_CACHE_USAGE, 0, nowMs - 201],
      ],
    });
    expect(saturation([mixed], params)).toBe(1);
  });

  test("figures exactly as old as the threshold are fresh", () => {
    expect(saturation([endpoint(0, 1, 0, nowMs - 200)], params)).toBe(0.2);
    expect(saturation([endpoint(0, 1, 0, nowMs - 1500)], { metricsStalenessThreshold: "1.5s" })).toBe(0.2);
    expect(saturation([endpoint(0, 1, 0, nowMs - 1501)], { metricsStalenessThreshold: "1.5s" })).toBe(1);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("a queue of %d counts as stale", (queued) => {
    expect(saturation([endpoint(0, queued, 0)], params)).toBe(1);
  });

  test("headroom does not count", () => {
    expect(saturation([endpoint(0, 4, 0)], { ...params, headroom: 0.5 })).toBe(0.8);
  });

  test("more load never lowers it", () => {
    const share = fc.oneof(fc.double({ min: 0, max: 20, noNaN: true }), fc.constant(neverReported));
    const more = fc.double({ min: 0, max: 20, noNaN: true });
    fc.assert(
      fc.property(share, share, more, (queue, used, moreLoad) => {
        fc.pre(queue !== neverReported || used !== neverReported);
        const out = new Float64Array(3);
        fillSaturations(
          Float64Array.of(queue, queue + moreLoad, queue),
          Float64Array.of(used, used, used + moreLoad),
          3,
          out,
        );
        expect(out[1]).toBeGreaterThanOrEqual(out[0]!);
        expect(out[2]).toBeGreaterThanOrEqual(out[0]!);
      }),
    );
  });
});

test("the figures are used where somebody writes them, and no configuration is refused for want of them", () => {
  expect(utilizationDetector.consumes!({})).toEqual({ optional: [WAITING_QUEUE_SIZE, KV_CACHE_USAGE] });
});

describe("as a filter", () => {
  const kept = (endpoints: readonly ReturnType<typeof endpoint>[], params?: unknown): readonly number[] => {
    const { instance } = buildPlugin(utilizationDetector, { params });
    return instance.filter!(buildRequest({ nowMs }), endpoints).map(({ slot }) => slot);
  };

  test("keeps fresh endpoints below both thresholds", () => {
    const endpoints = [
      endpoint(0, 4, 0.79),
      endpoint(1, 5, 0),
      endpoint(2, 0, 0.8),
      endpoint(3, 0, 0, nowMs - 201),
      buildEndpoint(4),
    ];
    expect(kept(endpoints)).toEqual([0]);
  });

  test("headroom raises both thresholds, the cache threshold also above 1", () => {
    const endpoints = [endpoint(0, 7, 0), endpoint(1, 8, 0), endpoint(2, 0, 1)];
    expect(kept(endpoints, { headroom: 0.5 })).toEqual([0, 2]);
  });

  test("keeps all when none is below", () => {
    expect(kept([endpoint(0, 9, 0), endpoint(1, 0, 1), buildEndpoint(2)])).toEqual([0, 1, 2]);
  });
});

describe("stale endpoints", () => {
  test("are counted under the detector's name at every evaluation, and the series goes with the detector", async () => {
    const gauge = recordingGauge();
    const { instance } = buildPlugin(utilizationDetector, { metrics: gauge.metrics, name: "detector-a" });
    instance.saturation!([endpoint(0, 1, 0), endpoint(1, 1, 0, 0), buildEndpoint(2)], nowMs);
    instance.saturation!([], nowMs);
    await instance.dispose!();
    expect(gauge.calls).toEqual([
      "llm_d_epp_flow_control_stale_endpoints{detector=detector-a} 2",
      "llm_d_epp_flow_control_stale_endpoints{detector=detector-a} 0",
      "llm_d_epp_flow_control_stale_endpoints{detector=detector-a} removed",
    ]);
  });

  test("are logged every 30 seconds at most", () => {
    const log = recordingLogger();
    const { instance, clock } = buildPlugin(utilizationDetector, { logger: log.logger });
    instance.saturation!([endpoint(0, 0, 0)], nowMs);
    expect(log.warnings).toEqual([]);
    for (const advanceMs of [0, 29_999, 1]) {
      clock.advance(advanceMs);
      instance.saturation!([buildEndpoint(0)], nowMs);
    }
    expect(log.warnings).toEqual([
      { staleEndpoints: 1, endpoints: 1, metricsStalenessThresholdMs: 200 },
      { staleEndpoints: 1, endpoints: 1, metricsStalenessThresholdMs: 200 },
    ]);
  });
});

describe("parameters", () => {
  test.each([
    [{ queueDepthThreshold: 0 }, "queueDepthThreshold: "],
    [{ queueDepthThreshold: 1.5 }, "queueDepthThreshold: "],
    [{ kvCacheUtilThreshold: 0 }, "kvCacheUtilThreshold: "],
    [{ kvCacheUtilThreshold: 1.01 }, "kvCacheUtilThreshold: "],
    [{ headroom: -0.1 }, "headroom: "],
    [{ metricsStalenessThreshold: "0s" }, "metricsStalenessThreshold: must be a duration above 0"],
    [{ metricsStalenessThreshold: "-1s" }, "metricsStalenessThreshold: must be a duration above 0"],
    [{ metricsStalenessThreshold: "200" }, "metricsStalenessThreshold: must be a duration above 0"],
    [{ metricsStalenessThreshold: 200 }, "metricsStalenessThreshold: must be a duration such as"],
  ])("%j is refused", (params, message) => {
    expect(() => buildPlugin(utilizationDetector, { params })).toThrow(message);
  });

  test("all problems are reported together", () => {
    const params = { queueDepthThreshold: 0, kvCacheUtilThreshold: 2, headroom: -1, metricsStalenessThreshold: "x" };
    expect(() => buildPlugin(utilizationDetector, { params })).toThrow(
      /queueDepthThreshold: .*kvCacheUtilThreshold: .*metricsStalenessThreshold: .*headroom: /s,
    );
  });

  test("headroom above 1 is allowed and warned of", () => {
    const log = recordingLogger();
    buildPlugin(utilizationDetector, { params: { headroom: 1 }, logger: log.logger });
    expect(log.warnings).toEqual([]);
    buildPlugin(utilizationDetector, { params: { headroom: 1.5 }, logger: log.logger });
    expect(log.warnings).toEqual([{ headroom: 1.5 }]);
  });
});

function endpoint(slot: number, queued: number | undefined, usedShare: number | undefined, atMs: number = nowMs) {
  return buildEndpoint(slot, {
    attributes: [
      [WAITING_QUEUE_SIZE, queued, atMs],
      [KV_CACHE_USAGE, usedShare, atMs],
    ],
  });
}

function saturation(endpoints: readonly ReturnType<typeof endpoint>[], params: unknown): number {
  return buildPlugin(utilizationDetector, { params }).instance.saturation!(endpoints, nowMs);
}

function recordingLogger(): { readonly logger: Logger; readonly warnings: unknown[] } {
  const warnings: unknown[] = [];
  return { logger: { ...silentLogger, warn: (fields) => warnings.push(fields) }, warnings };
}

function recordingGauge(): { readonly metrics: MetricsRegistry; readonly calls: string[] } {
  const calls: string[] = [];
  const metrics: MetricsRegistry = {
    ...noMetrics,
    gauge: ({ name, labelNames = [] }) => {
      const series = (values: readonly string[]): string =>
        `${name}{${labelNames.map((label, i) => `${label}=${values[i]}`).join()}}`;
      return {
        labels: (...values) => ({
          set: (value) => calls.push(`${series(values)} ${value}`),
          inc: () => {},
          dec: () => {},
        }),
        remove: (...values) => calls.push(`${series(values)} removed`),
      };
    },
  };
  return { metrics, calls };
}
