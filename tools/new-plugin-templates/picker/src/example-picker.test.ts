import { buildEndpoint, buildPlugin, buildRequest, pickerContract, pluginContract } from "@pointsman/testkit";
import { describe, expect, test } from "vitest";
import examplePicker from "./index.ts";

pluginContract(examplePicker, { testFile: import.meta.url });
describe("two draws", () => pickerContract(examplePicker));
describe("one draw", () => pickerContract(examplePicker, { params: { draws: 1 } }));

test("with many draws the best endpoint is picked more often than all others together", () => {
  const { instance } = buildPlugin(examplePicker, { params: { draws: 8 } });
  const endpoints = [0, 1, 2, 3].map((slot) => buildEndpoint(slot));
  const totals = Float64Array.of(0.1, 0.2, 0.9, 0.3);
  let best = 0;
  for (let i = 0; i < 1000; i++) {
    if (instance.pick!(buildRequest(), endpoints, totals)[0] === endpoints[2]) best++;
  }
  expect(best).toBeGreaterThan(800);
});
