import {
  Headers,
  KV_CACHE_USAGE,
  LATENCY_PREDICTION,
  type LatencyPrediction,
  RUNNING_REQUESTS_SIZE,
} from "@pointsman/core";
import {
  admitterContract,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  pluginContract,
  type RequestOptions,
  situationNowMs,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import latencySloAdmitter from "./index.ts";
import { statesObjective } from "./latency-slo-admitter.ts";

type Prediction = "valid" | "ttft-invalid" | "tpot-invalid" | "none";

function predictionOf(bySlot: readonly Prediction[]): LatencyPrediction {
  const count = bySlot.length;
  const numbers = Float64Array.from(bySlot, (one) => (one === "none" ? Number.NaN : 100));
  return {
    ttftMs: numbers,
    tpotMs: numbers,
    ttftHeadroomMs: numbers,
    tpotHeadroomMs: numbers,
    ttftValid: Uint8Array.from(bySlot, (one) => (one === "ttft-invalid" || one === "none" ? 0 : 1)),
    tpotValid: Uint8Array.from(bySlot, (one) => (one === "tpot-invalid" || one === "none" ? 0 : 1)),
    dispatchedRequests: new Int32Array(count),
  };
}

const objective = { "x-llm-d-slo-ttft-ms": "200" };
const sheddable = (bySlot: readonly Prediction[] | undefined, more: RequestOptions = {}): RequestOptions => ({
  priority: -1,
  headers: objective,
  nowMs: situationNowMs,
  attributes: [[LATENCY_PREDICTION.from(), bySlot && predictionOf(bySlot)]],
  ...more,
});

/** An endpoint that is neither idle nor cold unless told otherwise. */
const busy = (
  slot: number,
  running: number | undefined = 3,
  usedShare: number | undefined = 0.5,
  atMs = situationNowMs,
) =>
  buildEndpoint(slot, {
    attributes: [
      [RUNNING_REQUESTS_SIZE, running, atMs],
      [KV_CACHE_USAGE, usedShare, atMs],
    ],
  });

const { instance } = buildPlugin(latencySloAdmitter);
const admit = (request: RequestOptions, endpoints = [busy(0), busy(1)]) =>
  instance.admitRequest!(buildRequest(request), endpoints);

pluginContract(latencySloAdmitter, { testFile: import.meta.url });
admitterContract(latencySloAdmitter, {
  signals: [endpointSignal(RUNNING_REQUESTS_SIZE, fc.nat(2)), endpointSignal(KV_CACHE_USAGE, fc.constantFrom(0, 0.5))],
  request: (endpoints) =>
    fc
      .tuple(
        fc.constantFrom(-1, 0),
        fc.option(
          fc.array(fc.constantFrom<Prediction>("valid", "ttft-invalid", "tpot-invalid", "none"), {
            maxLength: Math.max(...endpoints.map(({ slot }) => slot)) + 1,
          }),
          { nil: undefined },
        ),
      )
      .map(([priority, bySlot]) => sheddable(bySlot, { priority })),
});

test("a sheddable request that no endpoint is predicted to serve in time gets 429", () => {
  const denied = admit(sheddable(["ttft-invalid", "tpot-invalid"]));
  expect(denied?.httpStatus).toBe(429);
  expect(denied?.reason).toBe("rejected-saturated");
  expect(denied?.message).toBe("request cannot be admitted: no endpoint is predicted to meet its latency objectives");
});

const hopeless: readonly Prediction[] = ["ttft-invalid", "tpot-invalid"];

test.each([
  { name: "one that may not be shed", request: sheddable(hopeless, { priority: 0 }) },
  { name: "one without an objective", request: sheddable(hopeless, { headers: {} }) },
  { name: "one with an objective of 0", request: sheddable(hopeless, { headers: { "x-llm-d-slo-ttft-ms": "0" } }) },
  { name: "one with an unreadable objective", request: sheddable(hopeless, { headers: { "x-slo-tpot-ms": "fast" } }) },
  { name: "one that nothing was predicted for", request: sheddable(undefined) },
  { name: "one without a prediction for any endpoint", request: sheddable(["none", "none"]) },
  { name: "one whose predictions are for other endpoints", request: sheddable([]) },
  { name: "one that an endpoint serves in time", request: sheddable(["ttft-invalid", "valid"]) },
])("admits $name", ({ request }) => {
  expect(admit(request)).toBeUndefined();
});

test("the older header counts as objective, and so does time per token", () => {
  expect(admit(sheddable(hopeless, { headers: { "x-slo-ttft-ms": "5.5" } }))?.httpStatus).toBe(429);
  expect(admit(sheddable(hopeless, { headers: { "x-llm-d-slo-tpot-ms": "20" } }))?.httpStatus).toBe(429);
});

test("a single prediction that fails is enough to refuse", () => {
  expect(admit(sheddable(["none", "ttft-invalid"]))?.httpStatus).toBe(429);
});

test("an idle endpoint and a cold cache admit", () => {
  expect(admit(sheddable(hopeless), [busy(0), busy(1, 0)])).toBeUndefined();
  expect(admit(sheddable(hopeless), [busy(0, 3, 0.019), busy(1)])).toBeUndefined();
  expect(admit(sheddable(hopeless), [busy(0, 3, 0.02), busy(1)])?.httpStatus).toBe(429);
});

test("unknown and stale figures show neither an idle nor a cold endpoint", () => {
  expect(admit(sheddable(hopeless), [buildEndpoint(0), buildEndpoint(1)])?.httpStatus).toBe(429);
  expect(admit(sheddable(hopeless), [busy(0, 0, 0, situationNowMs - 5000), busy(1)])?.httpStatus).toBe(429);
});

test("the predictions are those of the producer that is named", () => {
  const params = { latencyPredictionInfoProducerName: "mine" };
  const own = buildPlugin(latencySloAdmitter, { params }).instance;
  const request = (producer?: string): RequestOptions =>
    sheddable(undefined, { attributes: [[LATENCY_PREDICTION.from(producer), predictionOf(hopeless)]] });
  expect(own.admitRequest!(buildRequest(request("mine")), [busy(0)])?.httpStatus).toBe(429);
  expect(own.admitRequest!(buildRequest(request()), [busy(0)])).toBeUndefined();
});

test.each([
  ["100", true],
  [" 2.5 ", true],
  ["0", false],
  ["-1", false],
  ["", false],
  ["NaN", false],
  ["Infinity", false],
  ["1e400", false],
])("objective %j counts: %j", (text, counts) => {
  expect(statesObjective(Headers.from([["x-llm-d-slo-ttft-ms", text]]))).toBe(counts);
});

test("property: an endpoint that meets the objectives is never in vain", () => {
  const prediction = fc.constantFrom<Prediction>("valid", "ttft-invalid", "tpot-invalid", "none");
  fc.assert(
    fc.property(fc.array(prediction, { minLength: 1, maxLength: 8 }), (bySlot) => {
      const denied = admit(
        sheddable(bySlot),
        bySlot.map((_, slot) => busy(slot)),
      );
      const refuse = !bySlot.includes("valid") && bySlot.some((one) => one !== "none");
      expect(denied !== undefined).toBe(refuse);
    }),
  );
});

test("an unknown parameter is refused", () => {
  expect(() => buildPlugin(latencySloAdmitter, { params: { producer: "x" } })).toThrow("producer");
});
