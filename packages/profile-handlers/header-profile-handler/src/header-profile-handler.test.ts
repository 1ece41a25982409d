import { type ProfileResult, RequestError } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, pluginContract, profileHandlerContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import headerProfileHandler from "./index.ts";

const profiles = ["decode", "encode", "prefill"];
const endpoint = buildEndpoint(0);
const result: ProfileResult = { targets: [endpoint], candidates: [endpoint], totals: new Float64Array(1) };

pluginContract(headerProfileHandler, { testFile: import.meta.url });
profileHandlerContract(headerProfileHandler, {
  profiles,
  request: () => fc.constantFrom("", " ", "encode", "prefill ").map((value) => ({ headers: { "epp-profile": value } })),
});

function picked(
  headers: Readonly<Record<string, string>>,
  params: unknown = {},
  configured: readonly string[] = profiles,
): readonly string[] {
  const { instance } = buildPlugin(headerProfileHandler, { params });
  return instance.pickProfiles!(buildRequest({ headers }), configured, new Map());
}

test.each([
  { name: "the header names the profile", headers: { "EPP-Profile": "encode" }, profile: "encode" },
  { name: "space around the value does not count", headers: { "epp-profile": "  prefill\t" }, profile: "prefill" },
  { name: "without the header the default profile runs", headers: {}, profile: "decode" },
  { name: "a blank header is none", headers: { "epp-profile": "  " }, profile: "decode" },
])("$name", ({ headers, profile }) => {
  expect(picked(headers)).toEqual([profile]);
});

test("header and default profile can be chosen; the header's case makes no difference", () => {
  const params = { headerName: "X-Phase", defaultProfile: "prefill" };
  expect(picked({ "x-phase": "encode" }, params)).toEqual(["encode"]);
  expect(picked({ "epp-profile": "encode" }, params)).toEqual(["prefill"]);
  expect(picked({}, { headerName: "", defaultProfile: "" })).toEqual(["decode"]);
  const spaced = { headerName: " X-Phase ", defaultProfile: " prefill " };
  expect(picked({ "x-phase": "encode" }, spaced)).toEqual(["encode"]);
  expect(picked({}, spaced)).toEqual(["prefill"]);
});

test("a single profile runs whatever the header says", () => {
  expect(picked({ "epp-profile": "nonsense" }, {}, ["only"])).toEqual(["only"]);
});

function refusal(run: () => unknown): RequestError {
  try {
    run();
  } catch (thrown: unknown) {
    if (thrown instanceof RequestError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

test("a profile that does not exist is a bad request; upper and lower case differ", () => {
  const error = refusal(() => picked({ "epp-profile": "Decode" }));
  expect(error.httpStatus).toBe(400);
  expect(error.message).toBe('header epp-profile names the scheduling profile "Decode", which does not exist');
});

test("what the header holds is quoted and cut short in the answer", () => {
  const error = refusal(() => picked({ "epp-profile": `"\u0007${"x".repeat(500)}` }));
  expect(error.message).toContain(String.raw`"\"\u0007xxx`);
  expect(error.message.length).toBeLessThan(200);
});

test("no header and no default profile is a bad request", () => {
  const error = refusal(() => picked({}, {}, ["encode", "prefill"]));
  expect([error.httpStatus, error.message]).toEqual([
    400,
    "header epp-profile is missing, and there is no default scheduling profile",
  ]);
});

test("one profile runs, and its result is the decision", () => {
  const { instance } = buildPlugin(headerProfileHandler);
  const results = new Map([["encode", result]]);
  expect(instance.pickProfiles!(buildRequest(), profiles, results)).toEqual([]);
  expect(instance.processResults!(buildRequest(), results)).toEqual({ primaryProfile: "encode", profiles: results });
});

test("the profile's error ends the request unchanged", () => {
  const { instance } = buildPlugin(headerProfileHandler);
  const error = new RequestError("ResourceExhausted", "no endpoint left", "rejected-saturated");
  expect(instance.processResults!(buildRequest(), new Map([["encode", error]]))).toBe(error);
});

test("property: what runs is configured, or the request is refused", () => {
  fc.assert(
    fc.property(fc.string(), fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1 }), (value, configured) => {
      try {
        const [name, ...more] = picked({ "epp-profile": value }, {}, configured);
        expect(more).toEqual([]);
        expect(configured).toContain(name);
      } catch (thrown: unknown) {
        if (!(thrown instanceof RequestError)) throw thrown;
        expect(thrown.code).toBe("BadRequest");
        expect(configured.length).toBeGreaterThan(1);
      }
    }),
  );
});
