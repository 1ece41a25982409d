import { type ProfileResult, RequestError } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, pluginContract, profileHandlerContract } from "@pointsman/testkit";
import { describe, expect, test } from "vitest";
import exampleProfileHandler from "./index.ts";

pluginContract(exampleProfileHandler, { testFile: import.meta.url });
describe("one profile", () => profileHandlerContract(exampleProfileHandler, { profiles: ["near"] }));
describe("two profiles", () => profileHandlerContract(exampleProfileHandler, { profiles: ["near", "far"] }));

const { instance } = buildPlugin(exampleProfileHandler);
const request = buildRequest();
const endpoint = buildEndpoint(0);
const success: ProfileResult = { targets: [endpoint], candidates: [endpoint], totals: new Float64Array(1) };
const failure = new RequestError("ResourceExhausted", "no endpoint left");

test("the second profile runs only when the first failed", () => {
  const run = (results: ReadonlyMap<string, ProfileResult | RequestError>): readonly string[] =>
    instance.pickProfiles!(request, ["near", "far"], results);
  expect(run(new Map())).toEqual(["near"]);
  expect(run(new Map([["near", success]]))).toEqual([]);
  expect(run(new Map([["near", failure]]))).toEqual(["far"]);
});

test("the profile that found an endpoint decides", () => {
  const results = new Map<string, ProfileResult | RequestError>([
    ["near", failure],
    ["far", success],
  ]);
  expect(instance.processResults!(request, results)).toEqual({
    primaryProfile: "far",
    profiles: new Map([["far", success]]),
  });
});

test("when all fail, the last error ends the request", () => {
  expect(instance.processResults!(request, new Map([["near", failure]]))).toBe(failure);
});
