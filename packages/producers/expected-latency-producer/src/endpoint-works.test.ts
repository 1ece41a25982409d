import { buildEndpoint } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { EndpointWorks } from "./endpoint-works.ts";
import { PoolModel } from "./pool-model.ts";

test("an endpoint that goes counts no longer for what is usual in the pool", () => {
  const model = new PoolModel();
  const endpoints = [buildEndpoint(0), buildEndpoint(1)];
  const works = new EndpointWorks(model, () => endpoints);
  for (let i = 0; i < 60; i++) {
    for (const endpoint of endpoints) {
      const { speed } = works.of(endpoint);
      const factor = endpoint === endpoints[0] ? 4 : 1;
      speed.observe(Math.log(factor / speed.prefill), 1, 0.05, i * 100);
    }
  }
  expect(model.usualPrefill).toBeGreaterThan(1.8);
  works.delete(endpoints[0]!);
  expect(model.usualPrefill).toBeCloseTo(1, 9);
  works.delete(endpoints[0]!);
  expect(model.usualPrefill).toBeCloseTo(1, 9);
});
