import { expect, test } from "vitest";
import { configuredMetric } from "./configured-metric.ts";
import { WAITING_QUEUE_SIZE } from "./metric-attributes.ts";
import { TOKENIZED_PROMPT } from "./tokenized-prompt.ts";

test("without a producer the number is that of the core metrics extractor", () => {
  expect(configuredMetric("WaitingQueueSize", undefined)).toBe(WAITING_QUEUE_SIZE);
});

test("a producer that is named is part of the key", () => {
  expect(configuredMetric("GpuUtil", "dcgm-extractor")).toMatchObject({ id: "GpuUtil/dcgm-extractor" });
});

test("an empty producer is nobody in particular, and then the attribute may contain a slash", () => {
  expect(configuredMetric("llm-d.ai/some-number", "")).toMatchObject({ id: "llm-d.ai/some-number/", producer: "" });
});

test("a slash without a producer is refused with what to do", () => {
  expect(configuredMetric("GpuUtil/dcgm-extractor", undefined)).toMatch(/contains "\/".*producer/);
});

test("data of requests is no number of endpoints", () => {
  const { dataType, producer } = TOKENIZED_PROMPT.from();
  expect(configuredMetric(dataType, producer)).toMatch(/names no number of endpoints/);
});
