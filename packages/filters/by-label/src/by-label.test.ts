import { silentLogger } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, filterContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import byLabel from "./index.ts";

const params = { label: "tier", validValues: ["gold", "silver"] };
const tiers = fc.option(fc.constantFrom("gold", "silver", "bronze", ""), { nil: undefined });
const labelsOf = (tier: string | undefined): Readonly<Record<string, string>> => (tier === undefined ? {} : { tier });

pluginContract(byLabel, { testFile: import.meta.url, params });
describe.each([params, { ...params, allowsNoLabel: true }])("with %j", (each) => {
  filterContract(byLabel, { params: each, labels: tiers.map(labelsOf) });
});

function keeps(given: object, labels: Readonly<Record<string, string>>): boolean {
  const { instance } = buildPlugin(byLabel, { params: given });
  return instance.filter!(buildRequest(), [buildEndpoint(0, { labels })]).length === 1;
}

test.each([
  { name: "a listed value is kept", tier: "silver", kept: true },
  { name: "another value is dropped", tier: "bronze", kept: false },
  { name: "another case is another value", tier: "Gold", kept: false },
  { name: "an empty value is dropped", tier: "", kept: false },
  { name: "no label is dropped", tier: undefined, kept: false },
])("$name", ({ tier, kept }) => {
  expect(keeps(params, labelsOf(tier))).toBe(kept);
});

test("without the label an endpoint is kept where that is allowed; an empty one is no missing one", () => {
  const given = { label: "tier", allowsNoLabel: true };
  expect(keeps(given, {})).toBe(true);
  expect(keeps(given, { tier: "" })).toBe(false);
  expect(keeps({ label: "tier", validValues: [""] }, { tier: "" })).toBe(true);
  expect(keeps({ label: "tier", validValues: [""] }, {})).toBe(false);
});

test("a label called like a member of every object is a label like others", () => {
  expect(keeps({ label: "constructor", validValues: ["x"] }, {})).toBe(false);
  expect(keeps({ label: "constructor", validValues: ["x"] }, { constructor: "x" })).toBe(true);
});

test("using it warns and names what to use", () => {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_fields: unknown, message: string) => warnings.push(message) };
  buildPlugin(byLabel, { params, logger });
  expect(warnings).toEqual([expect.stringContaining("use label-selector-filter")]);
});

test.each([
  { given: {}, problem: "label: " },
  { given: { label: "", validValues: ["a"] }, problem: "label: " },
  { given: { label: "a" }, problem: "validValues: needs at least one value unless allowsNoLabel is true" },
  { given: { label: "a", validValues: [1] }, problem: "validValues.0: must be text: put it in quotes" },
  { given: { label: "a", allowsNoLabel: "yes" }, problem: "allowsNoLabel: " },
])("$problem is the answer to $given", ({ given, problem }) => {
  expect(() => buildPlugin(byLabel, { params: given })).toThrow(problem);
});
