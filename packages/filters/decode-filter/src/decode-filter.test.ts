import { ROLE_LABEL } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, filterContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import decodeFilter from "./index.ts";

const roles = ["encode", "prefill", "decode", "encode-prefill", "prefill-decode", "both", "encode-prefill-decode"];

pluginContract(decodeFilter, { testFile: import.meta.url });
filterContract(decodeFilter, {
  labels: fc.option(fc.constantFrom(...roles, "", "other"), { nil: undefined }).map((role) => labelsOf(role)),
});

test.each([
  ["decode", true],
  ["prefill", false],
  ["encode", false],
  ["encode-prefill", false],
  ["prefill-decode", true],
  ["both", true],
  ["encode-prefill-decode", true],
  ["", false],
  ["Decode", false],
  [" decode", false],
  ["other", false],
])("role %j: kept is %s", (role, kept) => {
  expect(isKept(labelsOf(role))).toBe(kept);
});

test("keeps an endpoint without a role label", () => {
  expect(isKept({ app: "vllm" })).toBe(true);
});

function isKept(labels: Readonly<Record<string, string>>): boolean {
  const endpoints = [buildEndpoint(0, { labels })];
  return buildPlugin(decodeFilter).instance.filter!(buildRequest(), endpoints).length === 1;
}

function labelsOf(role: string | undefined): Readonly<Record<string, string>> {
  return role === undefined ? {} : { [ROLE_LABEL]: role };
}
