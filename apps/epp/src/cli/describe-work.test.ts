import { noMetrics, silentLogger } from "@pointsman/core";
import { Datastore } from "@pointsman/datastore";
import { expect, test } from "vitest";
import { loadGraph } from "../process/load-graph.ts";
import { describeWork } from "./describe-work.ts";

async function work(configText: string, requestMetrics = true): Promise<readonly string[]> {
  const loaded = await loadGraph(
    { configFile: "", configText, endpointsFile: "" },
    {
      allowExperimental: true,
      stalenessMs: 2000,
      logger: silentLogger,
      metrics: noMetrics,
      datastore: new Datastore({
        pool: { name: "check", namespace: "default", appProtocol: undefined },
        logger: silentLogger,
      }),
    },
  );
  if ("unreadable" in loaded || loaded.graph === undefined || loaded.effective === undefined) {
    throw new Error(JSON.stringify(loaded, null, 2));
  }
  const lines = await describeWork(loaded.graph, loaded.effective, { refreshMetricsIntervalMs: 50, requestMetrics });
  await loaded.graph.dispose();
  return lines;
}

/** Lines of one entry. */
function entry(lines: readonly string[], title: string): readonly string[] {
  const start = lines.findIndex((line) => line.startsWith(title));
  if (start === -1) return [];
  const next = lines.findIndex((line, i) => i > start && !line.startsWith(" "));
  return lines.slice(start, next === -1 ? undefined : next).map((line) => line.slice(16));
}

const random = "plugins: [{type: random-picker}]\n";
const optimized = `
plugins:
  - {type: queue-scorer}
  - {type: prefix-cache-scorer}
  - {type: active-request-scorer}
  - {type: lora-affinity-scorer}
  - {type: session-id-producer, parameters: {headerName: x-session-id}}
`;

test("names who has bodies read and answers seen", async () => {
  const lines = await work(optimized, false);
  const bodies = entry(lines, "request bodies");
  for (const plugin of ["approx-prefix-cache-producer", "lora-affinity-scorer", "inflight-load-producer"]) {
    expect(bodies.some((line) => line.endsWith(`for ${plugin}`))).toBe(true);
  }
  expect(bodies.join()).not.toContain("queue-scorer");
  expect(entry(lines, "answers")).toEqual(["seen for inflight-load-producer"]);
});

test("request metrics are a reason, unless they are told not to be", async () => {
  const full = await work(random);
  expect(entry(full, "request bodies")[0]).toMatch(/^read for request metrics/);
  expect(entry(full, "answers")[0]).toMatch(/^seen for request metrics/);
  const none = await work(random, false);
  expect(entry(none, "request bodies")[0]).toMatch(/^passed unread/);
  expect(entry(none, "answers")[0]).toMatch(/^skipped/);
});

test("says what is scraped, how often, and for whom", async () => {
  const lines = entry(await work(optimized), "metrics");
  expect(lines[0]).toBe("metrics-data-source: a page of each endpoint every 50 ms");
  expect(lines[1]).toBe(
    "  core-metrics-extractor: 5 series of the default engine: vllm:num_requests_waiting, vllm:num_requests_running, " +
      "vllm:kv_cache_usage_perc, vllm:lora_requests_info, vllm:cache_config_info",
  );
  const queue = lines.find((line) => line.includes("WaitingQueueSize/core-metrics-extractor"));
  expect(queue).toMatch(/: for .*queue-scorer.*pool gauges$/);
  expect(lines.some((line) => line.includes("ActiveModels/core-metrics-extractor: for lora-affinity-scorer"))).toBe(
    true,
  );
});

test("an interval of the source's own is told", async () => {
  const config = `
plugins:
  - {type: queue-scorer}
  - {type: metrics-data-source, parameters: {interval: 250ms}}
  - {type: core-metrics-extractor}
dataLayer: {sources: [{pluginRef: metrics-data-source, extractors: [{pluginRef: core-metrics-extractor}]}]}
`;
  const lines = await work(config);
  expect(entry(lines, "metrics")[0]).toContain("every 250 ms");
});

test("names what is written and read by nobody", async () => {
  const lines = entry(await work(optimized), "read by nobody");
  expect(lines).toContain("what session-id-producer writes of SessionIDDataKey/session-id-producer");
  expect(entry(await work(random), "read by nobody").join()).toContain("CacheBlockSize/core-metrics-extractor");
  // Read by another plugin, by the pool gauges, and by itself.
  for (const read of ["WaitingQueueSize", "RunningRequestsSize", "inflight-load-producer"]) {
    expect(lines.join()).not.toContain(read);
  }
});
