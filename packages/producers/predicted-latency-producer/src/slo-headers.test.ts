import { Headers } from "@pointsman/core";
import { expect, test } from "vitest";
import { sloHeaders } from "./slo-headers.ts";

const read = (headers: Readonly<Record<string, string>>) => sloHeaders(Headers.from(Object.entries(headers)));

test.each([
  [{}, undefined, undefined],
  [{ "x-llm-d-slo-ttft-ms": "250", "x-llm-d-slo-tpot-ms": " 12.5 " }, 250, 12.5],
  [{ "x-slo-ttft-ms": "250", "x-slo-tpot-ms": "1e2" }, 250, 100],
  [{ "x-slo-ttft-ms": "1", "x-llm-d-slo-ttft-ms": "2" }, 2, undefined],
  [{ "x-llm-d-slo-ttft-ms": "0", "x-llm-d-slo-tpot-ms": "-3" }, undefined, undefined],
])("%j reads as %j and %j", (headers, ttftMs, tpotMs) => {
  expect(read(headers)).toEqual({ ttftMs, tpotMs, unreadable: [] });
});

test.each(["", "fast", "Infinity", "NaN", "10ms"])("the objective %j is none, and unreadable", (text) => {
  expect(read({ "x-slo-ttft-ms": text, "x-llm-d-slo-tpot-ms": "5" })).toEqual({
    ttftMs: undefined,
    tpotMs: 5,
    unreadable: ["x-llm-d-slo-ttft-ms"],
  });
});
