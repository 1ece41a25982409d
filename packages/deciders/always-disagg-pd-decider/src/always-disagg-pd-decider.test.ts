import { buildEndpoint, buildPlugin, buildRequest, deciderContract, pluginContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import alwaysDisaggPdDecider from "./index.ts";

pluginContract(alwaysDisaggPdDecider, { testFile: import.meta.url });
deciderContract(alwaysDisaggPdDecider);

test("says yes, with and without an endpoint", () => {
  const { instance } = buildPlugin(alwaysDisaggPdDecider);
  expect(instance.disaggregate!(buildRequest(), buildEndpoint(0))).toBe(true);
  expect(instance.disaggregate!(buildRequest(), undefined)).toBe(true);
});

test("needs no data", () => {
  expect(alwaysDisaggPdDecider.consumes).toBeUndefined();
});
