import { MULTICLUSTER_KV_CACHE_UTILIZATION, MULTICLUSTER_QUEUE_SIZE, type PollingExtractor } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import plugin from "./index.ts";

pluginContract(plugin, { testFile: import.meta.url });

function extract(pages: readonly string[], params: object = {}) {
  const { instance } = buildPlugin(plugin, { params });
  const endpoint = buildEndpoint(0);
  // The contract above has checked the role.
  const extractor = instance as PollingExtractor;
  const problems = pages.map((page, at) => extractor.extract(Buffer.from(page), endpoint, at + 1));
  const { values, writtenAtMs } = endpoint;
  return {
    problem: problems.at(-1),
    kv: values[MULTICLUSTER_KV_CACHE_UTILIZATION.index],
    queue: values[MULTICLUSTER_QUEUE_SIZE.index],
    queueAtMs: writtenAtMs[MULTICLUSTER_QUEUE_SIZE.index],
  };
}

const good = `# TYPE llm_d_epp_average_kv_cache_utilization gauge
llm_d_epp_average_kv_cache_utilization{name="pool"} 0.25
llm_d_epp_average_queue_size{name="pool"} 3.5
`;

test("a picker's averages become attributes of its cluster, typed or not", () => {
  expect(extract([good])).toMatchObject({ problem: undefined, kv: 0.25, queue: 3.5, queueAtMs: 1 });
});

test("specs choose the pool", () => {
  const page = `llm_d_epp_average_queue_size{name="a"} 1\nllm_d_epp_average_queue_size{name="b"} 2\n`;
  const params = { queueSizeMetric: "llm_d_epp_average_queue_size{name=b}", kvCacheUtilizationMetric: "" };
  expect(extract([page], params)).toMatchObject({ problem: undefined, kv: undefined, queue: 2 });
});

test("a series that is not there makes its signal unknown and is reported; the other counts", () => {
  expect(extract([good, "llm_d_epp_average_queue_size 4\n"])).toEqual({
    problem: "no series llm_d_epp_average_kv_cache_utilization",
    kv: undefined,
    queue: 4,
    queueAtMs: 2,
  });
});

test("NaN is how a picker says that it does not know", () => {
  const page = "llm_d_epp_average_kv_cache_utilization NaN\nllm_d_epp_average_queue_size NaN\n";
  expect(extract([good, page])).toMatchObject({ problem: undefined, kv: undefined, queue: undefined, queueAtMs: 2 });
});

test("values that cannot be are unknown and reported", () => {
  const { problem, kv, queue } = extract([
    "llm_d_epp_average_kv_cache_utilization 1.5\nllm_d_epp_average_queue_size -1\n",
  ]);
  expect(problem).toBe(
    "llm_d_epp_average_kv_cache_utilization is 1.5, which cannot be; llm_d_epp_average_queue_size is -1, which cannot be",
  );
  expect([kv, queue]).toEqual([undefined, undefined]);
});

test("a page that is no metrics page changes nothing", () => {
  expect(extract([good, "<html></html>"])).toMatchObject({ kv: 0.25, queue: 3.5, queueAtMs: 1 });
});

test.each([{ queueSizeMetric: "a{b}" }, { kvCacheUtilizationMetric: 3 }])("%j is refused", (params) => {
  expect(() => buildPlugin(plugin, { params })).toThrow();
});

test("what is written is a share and a number of requests, or nothing", () => {
  fc.assert(
    fc.property(fc.double(), fc.double(), (share, queueSize) => {
      const { kv, queue } = extract([
        `llm_d_epp_average_kv_cache_utilization ${share}\nllm_d_epp_average_queue_size ${queueSize}\n`,
      ]);
      expect(kv === undefined || ((kv as number) >= 0 && (kv as number) <= 1)).toBe(true);
      expect(queue === undefined || (queue as number) >= 0).toBe(true);
    }),
  );
});
