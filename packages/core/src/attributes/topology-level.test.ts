import fc from "fast-check";
import { expect, test } from "vitest";
import type { Topology } from "./topology.ts";
import { sharedTopologyLevel } from "./topology-level.ts";

const place = { hostname: "h1", rack: "r1", zone: "z1", region: "g1" };

test.each([
  { name: "all the same", other: place, level: "host" },
  { name: "the host alone", other: { hostname: "h1" }, level: "host" },
  { name: "another host", other: { ...place, hostname: "h2" }, level: "rack" },
  { name: "another rack", other: { ...place, hostname: "h2", rack: "r2" }, level: "zone" },
  { name: "the region alone", other: { region: "g1" }, level: "region" },
  { name: "nothing", other: { hostname: "r1", rack: "h1" }, level: undefined },
  { name: "nothing known", other: {}, level: undefined },
])("two places that share $name: $level", ({ other, level }) => {
  expect(sharedTopologyLevel(place, other)).toBe(level);
});

test("an empty part equals no other empty part", () => {
  expect(sharedTopologyLevel({ hostname: "", zone: "z" }, { hostname: "", zone: "z" })).toBe("zone");
});

test("an unknown place shares nothing", () => {
  expect(sharedTopologyLevel(undefined, place)).toBeUndefined();
  expect(sharedTopologyLevel(place, undefined)).toBeUndefined();
});

test("who is compared with whom does not matter", () => {
  const part = fc.constantFrom("", "a", "b");
  const places: fc.Arbitrary<Topology> = fc.record(
    { hostname: part, rack: part, zone: part, region: part },
    { requiredKeys: [] },
  );
  fc.assert(fc.property(places, places, (a, b) => sharedTopologyLevel(a, b) === sharedTopologyLevel(b, a)));
});
