import { GPU_UTILIZATION, type PollingExtractor } from "@pointsman/core";
import { buildEndpoint, buildPlugin, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import plugin from "./index.ts";

pluginContract(plugin, { testFile: import.meta.url });

const { index } = GPU_UTILIZATION.from();

function extract(...pages: readonly string[]) {
  const { instance } = buildPlugin(plugin);
  const endpoint = buildEndpoint(0, { name: "vllm-0", namespace: "ns" });
  // The contract above has checked the role.
  const extractor = instance as PollingExtractor;
  const problems = pages.map((page, at) => extractor.extract(Buffer.from(page), endpoint, at + 1));
  return { problem: problems.at(-1), value: endpoint.values[index], atMs: endpoint.writtenAtMs[index] };
}

const gauge = "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n";

test("the busiest GPU counts, as a share", () => {
  expect(extract(`${gauge}DCGM_FI_DEV_GPU_UTIL{gpu="0"} 40\nDCGM_FI_DEV_GPU_UTIL{gpu="1"} 75\n`)).toMatchObject({
    problem: undefined,
    value: 0.75,
  });
});

test("on a node's page the GPUs of other pods do not count, nor those of the same name in another namespace", () => {
  const page = `${gauge}DCGM_FI_DEV_GPU_UTIL{gpu="0",pod="vllm-0",namespace="ns"} 10
DCGM_FI_DEV_GPU_UTIL{gpu="1",pod="vllm-1",namespace="ns"} 90
DCGM_FI_DEV_GPU_UTIL{gpu="2",pod="vllm-0",namespace="other"} 80
DCGM_FI_DEV_GPU_UTIL{gpu="3",pod=""} 5
`;
  expect(extract(page)).toMatchObject({ problem: undefined, value: 0.1 });
});

test("samples without a TYPE line count", () => {
  expect(extract("DCGM_FI_DEV_GPU_UTIL 100\n")).toMatchObject({ problem: undefined, value: 1 });
});

test.each([
  ["", /no series DCGM_FI_DEV_GPU_UTIL without a pod or of the pod vllm-0/],
  [`${gauge}DCGM_FI_DEV_GPU_UTIL{pod="other"} 1\n`, /no series/],
  ["# TYPE DCGM_FI_DEV_GPU_UTIL counter\nDCGM_FI_DEV_GPU_UTIL 1\n", /is a counter, not a gauge/],
  ["DCGM_FI_DEV_GPU_UTIL 101\n", /is 101, not a percentage/],
  ["DCGM_FI_DEV_GPU_UTIL NaN\n", /is NaN, not a percentage/],
  ["DCGM_FI_DEV_GPU_UTIL -1\n", /is -1, not a percentage/],
])("the page %j makes the utilization unknown and is reported", (page, problem) => {
  const read = extract("DCGM_FI_DEV_GPU_UTIL 50\n", page);
  expect(read.problem).toMatch(problem);
  expect(read.value).toBeUndefined();
});

test("a page that is no metrics page changes nothing", () => {
  const read = extract("DCGM_FI_DEV_GPU_UTIL 50\n", "<html></html>");
  expect(read).toMatchObject({ value: 0.5, atMs: 1 });
  expect(read.problem).toMatch(/HTML/);
});

test("the order of the GPUs does not matter, and more load never lowers the value", () => {
  const load = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 16 });
  const pageOf = (loads: readonly number[]): string =>
    loads.map((each, gpu) => `DCGM_FI_DEV_GPU_UTIL{gpu="${gpu}"} ${each}\n`).join("");
  fc.assert(
    fc.property(load, (loads) => {
      const { value } = extract(pageOf(loads));
      expect(value).toBe(Math.max(...loads) / 100);
      expect(extract(pageOf(loads.toReversed())).value).toBe(value);
    }),
  );
});
