import fc from "fast-check";
import { expect, test } from "vitest";
import { predictorSettings } from "./predictor-settings.ts";

// Source: spec scheduling-plugins F11.
test("without variables the defaults hold", () => {
  expect(predictorSettings({ LATENCY_FLUSH_INTERVAL_SEC: " " })).toEqual({
    trainingUrl: new URL("http://localhost:8000"),
    predictionUrls: [new URL("http://localhost:8001")],
    maxSampleSize: 1000,
    flushIntervalMs: 1000,
    httpTimeoutMs: 10_000,
    maxBulkSize: 100,
    coalesceWindowMs: 1,
    maxCoalescedRows: 0,
    maxConcurrentDispatches: 36,
  });
});

test("variables are read, prediction servers as a list", () => {
  expect(
    predictorSettings({
      TRAINING_SERVER_URL: "https://train.example/base/",
      PREDICTION_SERVER_URL: "http://a:1, http://[::1]:2 ,",
      LATENCY_MAX_SAMPLE_SIZE: "7",
      LATENCY_FLUSH_INTERVAL_SEC: "0.5",
      LATENCY_HTTP_TIMEOUT_SEC: "2",
      LATENCY_MAX_BULK_SIZE: "50",
      LATENCY_COALESCE_WINDOW_MS: "0",
      LATENCY_MAX_COALESCED_ROWS: "500",
      LATENCY_MAX_CONCURRENT_DISPATCHES: "4",
      LATENCY_USE_NATIVE_XGBOOST: "true",
    }),
  ).toEqual({
    trainingUrl: new URL("https://train.example/base/"),
    predictionUrls: [new URL("http://a:1"), new URL("http://[::1]:2")],
    maxSampleSize: 7,
    flushIntervalMs: 500,
    httpTimeoutMs: 2000,
    maxBulkSize: 50,
    coalesceWindowMs: 0,
    maxCoalescedRows: 500,
    maxConcurrentDispatches: 4,
  });
});

test("every problem is named, with the variable and its range, and no secret of a URL", () => {
  const environment = {
    TRAINING_SERVER_URL: "http://user:secret@a",
    PREDICTION_SERVER_URL: "ftp://a,http://b",
    LATENCY_MAX_BULK_SIZE: "101",
    LATENCY_MAX_SAMPLE_SIZE: "1.5",
    LATENCY_HTTP_TIMEOUT_SEC: "soon",
    LATENCY_COALESCE_WINDOW_MS: "-1",
  };
  let message = "";
  try {
    predictorSettings(environment);
  } catch (thrown: unknown) {
    message = String(thrown);
  }
  for (const name of Object.keys(environment)) expect(message).toContain(name);
  expect(message).toContain("LATENCY_MAX_BULK_SIZE must be a number from 1 to 100");
  expect(message).not.toContain("secret");
});

test("two training servers are refused", () => {
  expect(() => predictorSettings({ TRAINING_SERVER_URL: "http://a,http://b" })).toThrow("must hold one URL, not 2");
});

test("whatever a variable holds, reading ends with settings in range or an error that names it", () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom("LATENCY_MAX_BULK_SIZE", "PREDICTION_SERVER_URL"), (text, name) => {
      try {
        const settings = predictorSettings({ [name]: text });
        expect(settings.maxBulkSize >= 1 && settings.maxBulkSize <= 100).toBe(true);
        expect(settings.predictionUrls.length).toBeGreaterThan(0);
      } catch (thrown: unknown) {
        expect(String(thrown)).toContain(name);
      }
    }),
  );
});
