import fc from "fast-check";
import { expect, test } from "vitest";
import { buildEndpoint } from "../../test/testkit.ts";
import type { Endpoint } from "../endpoint.ts";
import type { MetadataValue } from "../request.ts";
import { wireNames } from "../wire-names.ts";
import { applySubset, preferReachable, subsetHint } from "./candidates.ts";

const hintMetadata = (value: MetadataValue) => ({
  [wireNames.subsetNamespace]: { [wireNames.destinationSubset]: value },
});

const endpoints: readonly Endpoint[] = [
  buildEndpoint(0, { address: "10.0.0.1", port: 8000 }),
  buildEndpoint(1, { address: "10.0.0.1", port: 8001 }),
  buildEndpoint(2, { address: "10.0.0.2", port: 8000 }),
  buildEndpoint(3, { address: "fd00::1", port: 8000 }),
  buildEndpoint(4, { address: "model.local", port: 8000 }),
];

const kept = (hint: MetadataValue): readonly number[] | undefined => {
  const entries = subsetHint(hintMetadata(hint));
  return entries === undefined ? undefined : applySubset(endpoints, entries).map(({ slot }) => slot);
};

test.each<{ readonly name: string; readonly hint: MetadataValue; readonly slots: readonly number[] | undefined }>([
  { name: "a list, in the endpoints' own order", hint: ["10.0.0.2:8000", "10.0.0.1:8001"], slots: [1, 2] },
  { name: "a comma string with spaces", hint: " 10.0.0.1:8000 ,10.0.0.2:8000,", slots: [0, 2] },
  { name: "IPv6 in brackets with its port", hint: ["[fd00::1]:8000"], slots: [3] },
  { name: "IPv6 in brackets without a port", hint: ["[fd00::1]"], slots: [3] },
  { name: "IPv6 bare", hint: ["fd00::1"], slots: [3] },
  { name: "IPv6 on another port", hint: ["[fd00::1]:9000"], slots: [] },
  { name: "IPv6 without brackets, with its port", hint: ["fd00::1:8000"], slots: [3] },
  { name: "IPv6 without brackets, on another port", hint: ["fd00::1:9000"], slots: [] },
  { name: "IPv6 in capitals", hint: ["[FD00::1]:8000"], slots: [3] },
  { name: "an open bracket, which names nobody", hint: ["[fd00::1"], slots: [] },
  { name: "something behind a bracket, which names nobody", hint: ["[fd00::1]8000"], slots: [] },
  { name: "a host alone, for all its ports", hint: ["10.0.0.1"], slots: [0, 1] },
  { name: "a host name", hint: ["model.local:8000"], slots: [4] },
  { name: "a known host on an unknown port", hint: ["10.0.0.2:9999"], slots: [] },
  { name: "an unknown host", hint: ["10.0.0.9:8000"], slots: [] },
  { name: "a host that only starts like a known one", hint: ["10.0.0"], slots: [] },
  { name: "an empty list, which allows nothing", hint: [], slots: [] },
  { name: "an empty string, which allows nothing", hint: "", slots: [] },
  { name: "strings among other values", hint: [7, null, "10.0.0.2:8000", ["10.0.0.1:8000"]], slots: [2] },
  { name: "no string at all", hint: [7, true], slots: [] },
  { name: "a number, which is no hint", hint: 7, slots: undefined },
  { name: "an object, which is no hint", hint: { "10.0.0.1:8000": true }, slots: undefined },
  { name: "null, which is no hint", hint: null, slots: undefined },
])("the subset hint takes $name", ({ hint, slots }) => {
  expect(kept(hint)).toEqual(slots);
});

test.each<{ readonly name: string; readonly namespace: MetadataValue }>([
  { name: "null", namespace: null },
  { name: "a string", namespace: "10.0.0.1:8000" },
  { name: "a list", namespace: ["10.0.0.1:8000"] },
  { name: "an object without the key", namespace: { other: [] } },
])("a namespace that is $name gives no hint", ({ namespace }) => {
  expect(subsetHint({ [wireNames.subsetNamespace]: namespace })).toBeUndefined();
});

test("no metadata gives no hint", () => {
  expect(subsetHint({})).toBeUndefined();
});

test("any text in a hint selects only endpoints of the list, without throwing", () => {
  const entry = fc.oneof(fc.string(), fc.constantFrom("[", "]", "[]", ":", "[fd00::1", "::", "[]:8000", "10.0.0.1:"));
  fc.assert(
    fc.property(fc.oneof(fc.array(entry), entry), (hint) => {
      const entries = subsetHint(hintMetadata(hint))!;
      const left = applySubset(endpoints, entries);
      expect(left).toEqual(endpoints.filter((endpoint) => left.includes(endpoint)));
    }),
  );
});

test("every endpoint is selected by its own destination and by that of no other", () => {
  for (const endpoint of endpoints) expect(applySubset(endpoints, [endpoint.hostPort])).toEqual([endpoint]);
});

test("endpoints that are down are left out, unless all are", () => {
  const states = fc.constantFrom("unknown" as const, "up" as const, "down" as const);
  fc.assert(
    fc.property(fc.array(states, { maxLength: 8 }), (given) => {
      const list = given.map((state, slot) => {
        const endpoint = buildEndpoint(slot);
        endpoint.reachability = state;
        return endpoint;
      });
      const answering = list.filter(({ reachability }) => reachability !== "down");
      const preferred = preferReachable(list);
      expect(preferred.map(({ slot }) => slot)).toEqual(
        (answering.length > 0 ? answering : list).map(({ slot }) => slot),
      );
      if (preferred.length === list.length) expect(preferred).toBe(list);
    }),
  );
});
