import fc from "fast-check";
import { expect, test } from "vitest";
import { featureRow, type RowSignals } from "./feature-row.ts";

const signals: RowSignals = {
  kvCacheUsage: 0.25,
  waitingRequests: 3,
  runningRequests: 5,
  tokensInFlight: 900,
  promptTokens: 1000,
  matchedBlocks: 3,
  totalBlocks: 4,
  encoderInputSize: 2,
  encoderMatchedSize: 1,
  podType: "decode",
};

test("a row holds what is known, under the predictor's names", () => {
  expect(featureRow(signals)).toEqual({
    kv_cache_percentage: 0.25,
    input_token_length: 1000,
    num_request_waiting: 3,
    num_request_running: 5,
    num_tokens_generated: 1,
    prefix_cache_score: 0.75,
    encoder_input_size: 2,
    encoder_matched_size: 1,
    pod_type: "decode",
    prefill_tokens_in_flight: 900,
    decode_tokens_in_flight: 0,
  });
});

test.each(["kvCacheUsage", "waitingRequests", "runningRequests", "promptTokens"] as const)(
  "without a usable %s there is no row",
  (name) => {
    for (const value of [undefined, Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      expect(featureRow({ ...signals, [name]: value })).toBeUndefined();
    }
  },
);

test("no role, no field", () => {
  expect(featureRow({ ...signals, podType: undefined })).not.toHaveProperty("pod_type");
  expect(featureRow({ ...signals, podType: "" })).not.toHaveProperty("pod_type");
});

test("whatever the numbers are, a row is within the predictor's ranges", () => {
  const number = fc.oneof(fc.double(), fc.integer(), fc.constant(undefined));
  const required = fc.oneof(fc.double(), fc.integer());
  fc.assert(
    fc.property(
      number,
      number,
      number,
      number,
      fc.tuple(required, required, required, required),
      (kv, a, b, c, rest) => {
        const [matchedBlocks, totalBlocks, encoderInputSize, encoderMatchedSize] = rest;
        const row = featureRow({
          ...{ kvCacheUsage: kv, waitingRequests: a, runningRequests: b, tokensInFlight: c, promptTokens: a },
          ...{ matchedBlocks, totalBlocks, encoderInputSize, encoderMatchedSize, podType: undefined },
        });
        if (row === undefined) return;
        for (const value of Object.values(row)) expect(Number.isFinite(value) && value >= 0).toBe(true);
        expect(row.kv_cache_percentage <= 1 && row.prefix_cache_score <= 1).toBe(true);
        expect(row.encoder_matched_size).toBeLessThanOrEqual(row.encoder_input_size);
        expect(Number.isInteger(row.input_token_length) && Number.isInteger(row.num_request_waiting)).toBe(true);
      },
    ),
  );
});
