import { type Endpoint, Headers } from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, filterContract, pluginContract } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { listedHosts } from "./header-based-testing-filter.ts";
import headerBasedTestingFilter from "./index.ts";

const header = "test-epp-endpoint-selection";

pluginContract(headerBasedTestingFilter, { testFile: import.meta.url });
filterContract(headerBasedTestingFilter, {
  request: (endpoints: readonly Endpoint[]) =>
    fc.oneof(
      fc.constant({}),
      fc
        .subarray(endpoints.flatMap(({ hostPort, metadata }) => [hostPort, metadata.address]))
        .map((entries) => ({ headers: { [header]: entries.join(", ") } })),
    ),
});

const endpoints = [
  buildEndpoint(0, { address: "10.0.0.1", port: 8000 }),
  buildEndpoint(1, { address: "10.0.0.1", port: 8001 }),
  buildEndpoint(2, { address: "10.0.0.2", port: 8000 }),
  buildEndpoint(3, { address: "fd00::1", port: 8000 }),
];

// Source: spec scheduling-plugins A10 and ext-proc section 12.
test.each([
  { name: "an address", value: "10.0.0.2", slots: [2] },
  { name: "an address that several share", value: "10.0.0.1", slots: [0, 1] },
  { name: "an address with its port", value: "10.0.0.1:8001", slots: [1] },
  { name: "an address with another port", value: "10.0.0.2:9999", slots: [] },
  { name: "IPv6 in brackets", value: "[fd00::1]", slots: [3] },
  { name: "IPv6 without brackets", value: "fd00::1", slots: [3] },
  { name: "IPv6 with its port", value: "[fd00::1]:8000", slots: [3] },
  { name: "several, with spaces and repeats", value: " 10.0.0.2 ,10.0.0.1:8000,,10.0.0.2:8000", slots: [0, 2] },
  { name: "the beginning of an address", value: "10.0.0", slots: [] },
  { name: "an empty header", value: "", slots: [] },
  { name: "a blank header", value: " , ", slots: [] },
  { name: "empty brackets", value: "[]", slots: [] },
])("$name keeps $slots", ({ value, slots }) => {
  const { instance } = buildPlugin(headerBasedTestingFilter);
  const request = buildRequest({ headers: { [header]: value } });
  expect(instance.filter!(request, endpoints).map(({ slot }) => slot)).toEqual(slots);
});

test("without the header nothing stays", () => {
  expect(buildPlugin(headerBasedTestingFilter).instance.filter!(buildRequest(), endpoints)).toEqual([]);
});

test("whatever the header holds, a bounded list comes of it", () => {
  const texts = fc.string({ unit: fc.constantFrom("1", ".", ":", "[", "]", ",", " ") });
  fc.assert(
    fc.property(texts, (text) => {
      const value = Headers.from([[header, text]]).get(header)!;
      expect(listedHosts(value).size).toBeLessThanOrEqual(100);
      expect(listedHosts(value).has("")).toBe(false);
    }),
  );
  expect(listedHosts(Array.from({ length: 5000 }, (_, i) => `10.0.0.${i}`).join()).size).toBe(100);
});
