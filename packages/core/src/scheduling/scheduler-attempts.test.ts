import { expect, test } from "vitest";
import { RecordingMetrics } from "../../test/recording-metrics.ts";
import { buildEndpoint } from "../../test/testkit.ts";
import type { MetricFamily } from "../metrics.ts";
import { SchedulerAttempts } from "./scheduler-attempts.ts";

const name = "llm_d_epp_scheduler_attempts_total";

function build() {
  const metrics = new RecordingMetrics();
  const listed = new Set<string>();
  const counting = {
    ...metrics,
    counter: (options: Parameters<RecordingMetrics["counter"]>[0]) => {
      const family = metrics.counter(options);
      const wrapped: MetricFamily<{ inc(): void }> = {
        labels: (...values) => {
          listed.add(values.join("|"));
          return family.labels(...values);
        },
        remove: (...values) => void listed.delete(values.join("|")),
      };
      return wrapped;
    },
    gauge: () => {
      throw new Error("no gauges");
    },
    histogram: () => {
      throw new Error("no histograms");
    },
  };
  return { attempts: new SchedulerAttempts(counting), metrics, listed };
}

test("a run counts by outcome, model and first target", () => {
  const { attempts, metrics } = build();
  const endpoint = buildEndpoint(3, { name: "vllm-0", namespace: "ns", port: 8001 });
  attempts.succeeded("m", endpoint);
  attempts.succeeded("m", endpoint);
  attempts.failed("m");
  const target = { target_model_name: "m", endpoint_name: "vllm-0", namespace: "ns", port: "8001" };
  expect(metrics.value(name, { status: "success", ...target })).toBe(2);
  expect(metrics.value(name, { status: "failure", endpoint_name: "", namespace: "", port: "" })).toBe(1);
});

test("with an endpoint its series go, and one that moves starts new ones", () => {
  const { attempts, listed } = build();
  const endpoint = buildEndpoint(0, { name: "a", port: 1 });
  attempts.succeeded("m", endpoint);
  attempts.endpointChanged({ type: "addOrUpdate", endpoint });
  expect(listed).toEqual(new Set(["success|m|a|default|1"]));
  endpoint.update({ ...endpoint.metadata, port: 2 });
  attempts.endpointChanged({ type: "addOrUpdate", endpoint });
  attempts.succeeded("m", endpoint);
  expect(listed).toEqual(new Set(["success|m|a|default|2"]));
  attempts.endpointChanged({ type: "delete", endpoint });
  expect(listed).toEqual(new Set());
});

test("a request that waited while its endpoint went leaves no series of that endpoint behind", () => {
  const { attempts, listed } = build();
  const endpoint = buildEndpoint(0);
  attempts.endpointChanged({ type: "delete", endpoint });
  attempts.succeeded("m", endpoint);
  expect(listed).toEqual(new Set(["success|m|||"]));
});

test("models times endpoints stay bounded", () => {
  const { attempts, listed } = build();
  const endpoints = Array.from({ length: 50 }, (_, i) => buildEndpoint(i));
  for (let model = 0; model < 5000; model++) {
    attempts.failed(`m${model}`);
    for (const endpoint of endpoints) attempts.succeeded(`m${model}`, endpoint);
  }
  const models = new Set([...listed].map((each) => each.split("|")[1]));
  expect(models.size).toBe(1001);
  expect(listed.size).toBeLessThanOrEqual(10_000 + 50 + 1001);
});
