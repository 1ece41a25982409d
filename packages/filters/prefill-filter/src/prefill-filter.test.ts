import { ROLE_LABEL } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, filterContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import prefillFilter from "./index.ts";

const roles = ["encode", "prefill", "decode", "encode-prefill", "prefill-decode", "both", "encode-prefill-decode"];

pluginContract(prefillFilter, { testFile: import.meta.url });
filterContract(prefillFilter, {
  labels: fc.option(fc.constantFrom(...roles, "", "other"), { nil: undefined }).map((role) => labelsOf(role)),
});

test.each([
  ["decode", false],
  ["prefill", true],
  ["encode", false],
  ["encode-prefill", true],
  ["prefill-decode", true],
  ["both", true],
  ["encode-prefill-decode", true],
  ["", false],
  ["Decode", false],
  [" prefill", false],
  ["other", false],
])("role %j: kept is %s", (role, kept) => {
  expect(isKept(labelsOf(role))).toBe(kept);
});

test("drops an endpoint without a role label", () => {
  expect(isKept({ app: "vllm" })).toBe(false);
});

function isKept(labels: Readonly<Record<string, string>>): boolean {
  const endpoints = [buildEndpoint(0, { labels })];
  return buildPlugin(prefillFilter).instance.filter!(buildRequest(), endpoints).length === 1;
}

function labelsOf(role: string | undefined): Readonly<Record<string, string>> {
  return role === undefined ? {} : { [ROLE_LABEL]: role };
}
