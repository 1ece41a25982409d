import fc from "fast-check";
import { expect, test } from "vitest";
import { RecordingMetrics } from "../../test/recording-metrics.ts";
import { buildRequest } from "../../test/testkit.ts";
import { RequestMetrics } from "./request-metrics.ts";

function build(): { requestMetrics: RequestMetrics; metrics: RecordingMetrics } {
  const metrics = new RecordingMetrics();
  return { requestMetrics: new RequestMetrics(metrics), metrics };
}

function request(model: string, fairnessId = "flow", priority = 0) {
  const built = buildRequest({ body: { model }, priority });
  built.fairnessId = fairnessId;
  return built;
}

/** Names that the series' key would mix up if it joined them without care. */
const someName = fc.constantFrom("", "a", "b", "a b", "other");
const someRequest = fc.record({
  model: someName,
  target: someName,
  fairnessId: someName,
  priority: fc.constantFrom(-1, 0, 1),
  streaming: fc.boolean(),
});

test("each request counts in the series that has its own labels, however often they were seen", () => {
  fc.assert(
    fc.property(fc.array(someRequest, { minLength: 1, maxLength: 30 }), (requests) => {
      const { requestMetrics, metrics } = build();
      const expected = new Map<string, number>();
      const count = (key: unknown) => {
        const text = JSON.stringify(key);
        expected.set(text, (expected.get(text) ?? 0) + 1);
      };
      for (const { model, target, fairnessId, priority, streaming } of requests) {
        const counted = request(model, fairnessId, priority);
        counted.targetModel = target;
        const labels = [model, target, fairnessId, String(priority)];
        requestMetrics.of(counted).total.inc();
        count(["total", ...labels]);
        requestMetrics.of(counted).sizeBytes.observe(1);
        count(["size", ...labels]);
        requestMetrics.firstByte(counted, streaming, 1);
        count(["ttft", ...labels, String(streaming)]);
      }
      const counts = new Map<string, number>();
      const read = (name: string, metric: string) => {
        for (const { labels, value, observations } of metrics.series(metric)) {
          const seen = value + observations.length;
          if (seen > 0) counts.set(JSON.stringify([name, ...Object.values(labels)]), seen);
        }
      };
      read("total", "llm_d_epp_request_total");
      read("size", "llm_d_epp_request_size_bytes");
      read("ttft", "llm_d_epp_request_ttft_seconds");
      expect(counts).toEqual(expected);
    }),
  );
});

test("metrics are bound once for equal labels", () => {
  const { requestMetrics } = build();
  const bound = requestMetrics.of(request("a"));
  expect(requestMetrics.of(request("a"))).toBe(bound);
  const others = [request("b"), request("a", "other-flow"), request("a", "flow", 1)].map((each) =>
    requestMetrics.of(each),
  );
  expect(new Set([bound, ...others]).size).toBe(4);
});

test("requests with the same labels are counted in one series, whichever names those that are other have", () => {
  const { requestMetrics, metrics } = build();
  for (let i = 0; i < 1003; i++) requestMetrics.firstByte(request("model", `tenant-${i}`), i % 2 === 0, 0.1);
  for (let i = 0; i < 1003; i++) requestMetrics.firstByte(request("model", `tenant-${i}`), i % 2 === 0, 0.1);
  const counts = new Map(
    metrics
      .series("llm_d_epp_request_ttft_seconds")
      .map(({ labels, observations }) => [`${labels["fairness_id"]} ${labels["streaming"]}`, observations.length]),
  );
  expect(counts.get("tenant-0 true")).toBe(2);
  expect(counts.get("tenant-1 false")).toBe(2);
  expect(counts.get("other true")).toBe(4);
  expect(counts.get("other false")).toBe(2);
  expect(requestMetrics.of(request("model", "tenant-1002"))).toBe(requestMetrics.of(request("model", "tenant-1001")));
});

test("a request that is rewritten meanwhile counts under its new labels", () => {
  const { requestMetrics, metrics } = build();
  const rewritten = request("asked");
  requestMetrics.of(rewritten).total.inc();
  rewritten.targetModel = "served";
  requestMetrics.of(rewritten).total.inc(2);
  rewritten.priority = 3;
  requestMetrics.of(rewritten).total.inc(4);
  requestMetrics.of(request("asked")).total.inc(8);
  const counts = metrics
    .series("llm_d_epp_request_total")
    .map(({ labels, value }) => [labels["target_model_name"], labels["priority"], value]);
  expect(counts).toEqual([
    ["asked", "0", 9],
    ["served", "0", 2],
    ["served", "3", 4],
  ]);
});

test("labels are model, target model, fairness id and priority", () => {
  const { requestMetrics, metrics } = build();
  const rewritten = request("asked", "tenant", -2);
  rewritten.targetModel = "served";
  requestMetrics.of(rewritten).total.inc();
  expect(metrics.series("llm_d_epp_request_total").map(({ labels }) => labels)).toEqual([
    { model_name: "asked", target_model_name: "served", fairness_id: "tenant", priority: "-2" },
  ]);
});

test("an answer without a request has empty labels and priority 0", () => {
  const { requestMetrics, metrics } = build();
  requestMetrics.error(undefined, "ModelServerError");
  expect(metrics.series("llm_d_epp_request_error_total").map(({ labels, value }) => [labels, value])).toEqual([
    [{ model_name: "", target_model_name: "", fairness_id: "", priority: "0", error_code: "ModelServerError" }, 1],
  ]);
});

test("after 1000 models a new one is counted as other; known ones and the empty one keep their names", () => {
  const { requestMetrics, metrics } = build();
  for (let i = 0; i < 1005; i++) requestMetrics.of(request(`model-${i}`)).total.inc();
  requestMetrics.of(request("model-0")).total.inc();
  requestMetrics.of(request("")).total.inc();
  const counts = new Map(
    metrics.series("llm_d_epp_request_total").map(({ labels, value }) => [labels["model_name"], value]),
  );
  expect(counts.size).toBe(1002);
  expect(counts.get("model-0")).toBe(2);
  expect(counts.get("model-999")).toBe(1);
  expect(counts.has("model-1000")).toBe(false);
  expect(counts.get("other")).toBe(5);
  expect(counts.get("")).toBe(1);
});

test("fairness ids are bounded on their own", () => {
  const { requestMetrics, metrics } = build();
  for (let i = 0; i < 1001; i++) requestMetrics.of(request("model", `tenant-${i}`)).total.inc();
  const ids = metrics.series("llm_d_epp_request_total").map(({ labels }) => labels["fairness_id"]);
  expect(new Set(ids).size).toBe(1001);
  expect(ids.at(-1)).toBe("other");
});

test("reported tokens are observed; zero and missing ones are not, but for cached tokens that are 0", () => {
  const { requestMetrics, metrics } = build();
  const asked = request("model");
  const answer = { durationMs: 1000, firstByteMs: 1000, bodyBytes: 5, streaming: false };
  requestMetrics.complete(asked, {
    ...answer,
    usage: { promptTokens: 7, completionTokens: 10, totalTokens: 17, cachedTokens: 0 },
  });
  requestMetrics.complete(asked, {
    ...answer,
    usage: { promptTokens: 0, completionTokens: undefined, totalTokens: 0, cachedTokens: undefined },
  });
  expect(metrics.observations("llm_d_epp_request_input_tokens")).toEqual([7]);
  expect(metrics.observations("llm_d_epp_request_output_tokens")).toEqual([10]);
  expect(metrics.observations("llm_d_epp_request_cached_tokens")).toEqual([0]);
});

test("a complete answer gives its size, its duration and the time for each token", () => {
  const { requestMetrics, metrics } = build();
  const usage = { promptTokens: 7, completionTokens: 11, totalTokens: 18, cachedTokens: undefined };
  const answer = { durationMs: 2200, firstByteMs: 200, bodyBytes: 500, usage };
  requestMetrics.complete(request("a"), { ...answer, streaming: true });
  requestMetrics.complete(request("b"), { ...answer, streaming: false });
  const observed = (name: string, model: string) =>
    metrics.observations(`llm_d_epp_${name}`, { model_name: model, target_model_name: model, fairness_id: "flow" });
  for (const model of ["a", "b"]) {
    expect(observed("response_size_bytes", model)).toEqual([500]);
    expect(observed("request_duration_seconds", model)).toEqual([2.2]);
    expect(observed("request_ntpot_seconds", model)).toEqual([2.2 / 11]);
  }
  expect(observed("request_streaming_tpot_seconds", "a")).toEqual([0.2]);
  expect(observed("request_streaming_tpot_seconds", "b")).toEqual([]);
});

test.each([
  { durationMs: 0, completionTokens: 5 },
  { durationMs: 100, completionTokens: 0 },
  { durationMs: 100, completionTokens: undefined },
])("without a duration or tokens there is no time for a token: %j", ({ durationMs, completionTokens }) => {
  const { requestMetrics, metrics } = build();
  const usage = { promptTokens: 1, completionTokens, totalTokens: 1, cachedTokens: undefined };
  requestMetrics.complete(request("a"), { durationMs, firstByteMs: 0, bodyBytes: 0, streaming: true, usage });
  expect(metrics.observations("llm_d_epp_request_ntpot_seconds")).toEqual([]);
  expect(metrics.observations("llm_d_epp_request_streaming_tpot_seconds")).toEqual([]);
  expect(metrics.observations("llm_d_epp_request_duration_seconds")).toHaveLength(durationMs === 0 ? 0 : 1);
});

test("the only token of a stream has no time between tokens", () => {
  const { requestMetrics, metrics } = build();
  const usage = { promptTokens: 1, completionTokens: 1, totalTokens: 2, cachedTokens: undefined };
  requestMetrics.complete(request("a"), { durationMs: 9, firstByteMs: 9, bodyBytes: 1, streaming: true, usage });
  expect(metrics.observations("llm_d_epp_request_streaming_tpot_seconds")).toEqual([]);
});

test("pinned models keep their names beyond every bound", () => {
  const metrics = new RecordingMetrics();
  const requestMetrics = new RequestMetrics(metrics, (model) => model.startsWith("pinned"));
  for (let i = 0; i < 5000; i++) requestMetrics.of(request(`model-${i}`, `flow-${i}`)).total.inc();
  requestMetrics.of(request("pinned-late", "late")).total.inc();
  const labels = metrics.series("llm_d_epp_request_total").map(({ labels: each }) => each);
  expect(labels.at(-1)).toMatchObject({ model_name: "pinned-late", target_model_name: "pinned-late" });
  expect(new Set(labels.map(({ model_name }) => model_name)).size).toBe(1002);
  expect(new Set(labels.map(({ fairness_id }) => fairness_id)).size).toBe(1001);
});

test("the first byte is observed by kind of answer", () => {
  const { requestMetrics, metrics } = build();
  requestMetrics.firstByte(request("model"), true, 0.5);
  requestMetrics.firstByte(request("model"), false, 0.25);
  expect(metrics.observations("llm_d_epp_request_ttft_seconds", { streaming: "true" })).toEqual([0.5]);
  expect(metrics.observations("llm_d_epp_request_ttft_seconds", { streaming: "false" })).toEqual([0.25]);
});

test("combinations of labels are bounded, too: models times fairness ids do not multiply without end", () => {
  const { requestMetrics, metrics } = build();
  for (let model = 0; model < 70; model++) {
    for (let flow = 0; flow < 70; flow++) requestMetrics.of(request(`model-${model}`, `flow-${flow}`)).total.inc();
  }
  requestMetrics.of(request("model-0", "flow-0")).total.inc();
  const series = metrics.series("llm_d_epp_request_total");
  expect(series.length).toBe(4001);
  const other = series.find(({ labels }) => labels["model_name"] === "other");
  expect(other).toMatchObject({ value: 70 * 70 - 4000, labels: { target_model_name: "other", fairness_id: "other" } });
});
