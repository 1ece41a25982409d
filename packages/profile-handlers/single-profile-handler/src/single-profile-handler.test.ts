import { type ProfileResult, RequestError } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, pluginContract, profileHandlerContract } from "@pointsman/testkit";
import { expect, test } from "vitest";
import singleProfileHandler from "./index.ts";

pluginContract(singleProfileHandler, { testFile: import.meta.url });
profileHandlerContract(singleProfileHandler, { profiles: ["default"] });

const { instance } = buildPlugin(singleProfileHandler);
const endpoint = buildEndpoint(0);
const result: ProfileResult = { targets: [endpoint], candidates: [endpoint], totals: new Float64Array(1) };

test("runs the profile, then nothing more", () => {
  expect(instance.pickProfiles!(buildRequest(), ["default"], new Map())).toEqual(["default"]);
  expect(instance.pickProfiles!(buildRequest(), ["default"], new Map([["default", result]]))).toEqual([]);
});

test("the profile's result is the decision", () => {
  expect(instance.processResults!(buildRequest(), new Map([["default", result]]))).toEqual({
    primaryProfile: "default",
    profiles: new Map([["default", result]]),
  });
});

test("the profile's error ends the request unchanged", () => {
  const error = new RequestError("ResourceExhausted", "no endpoint left", "rejected-saturated");
  expect(instance.processResults!(buildRequest(), new Map([["default", error]]))).toBe(error);
});

test("more than one profile is refused with their names", () => {
  expect(instance.checkProfiles!(["decode", "prefill"])).toBe(
    "single-profile-handler needs exactly one scheduling profile; there are 2: decode, prefill",
  );
});
