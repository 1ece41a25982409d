import { ROLE_LABEL } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, filterContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import encodeFilter from "./index.ts";

const roles = ["encode", "prefill", "decode", "encode-prefill", "prefill-decode", "both", "encode-prefill-decode"];

pluginContract(encodeFilter, { testFile: import.meta.url });
filterContract(encodeFilter, {
  labels: fc.option(fc.constantFrom(...roles, "", "other"), { nil: undefined }).map((role) => labelsOf(role)),
});

test.each([
  ["decode", false],
  ["prefill", false],
  ["encode", true],
  ["encode-prefill", true],
  ["prefill-decode", false],
  ["both", false],
  ["encode-prefill-decode", true],
  ["", false],
  ["Decode", false],
  [" encode", false],
  ["other", false],
])("role %j: kept is %s", (role, kept) => {
  expect(isKept(labelsOf(role))).toBe(kept);
});

test("drops an endpoint without a role label", () => {
  expect(isKept({ app: "vllm" })).toBe(false);
});

function isKept(labels: Readonly<Record<string, string>>): boolean {
  const endpoints = [buildEndpoint(0, { labels })];
  return buildPlugin(encodeFilter).instance.filter!(buildRequest(), endpoints).length === 1;
}

function labelsOf(role: string | undefined): Readonly<Record<string, string>> {
  return role === undefined ? {} : { [ROLE_LABEL]: role };
}
