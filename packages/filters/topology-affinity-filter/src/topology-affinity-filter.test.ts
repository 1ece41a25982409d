import { PEER_ENDPOINT, TOPOLOGY, type Topology } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  endpointSignal,
  filterContract,
  pluginContract,
  type RequestOptions,
} from "@pointsman/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import topologyAffinityFilter from "./index.ts";

const part = fc.constantFrom("", "a", "b");
const places: fc.Arbitrary<Topology> = fc.record(
  { hostname: part, rack: part, zone: part, region: part },
  { requiredKeys: [] },
);
const nearTo = (place: Topology | undefined, producer?: string): RequestOptions => {
  const attributes = place === undefined ? [] : ([[TOPOLOGY.from(producer), place, 0]] as const);
  return { attributes: [[PEER_ENDPOINT, buildEndpoint(99, { attributes })]] };
};
const situation = {
  signals: [endpointSignal(TOPOLOGY.from(), places)],
  request: () =>
    fc.oneof(
      fc.constant<RequestOptions>({}),
      fc.option(places, { nil: undefined }).map((place) => nearTo(place)),
    ),
};

pluginContract(topologyAffinityFilter, { testFile: import.meta.url });
describe.each([{}, { minAffinity: "zone" }])("with %j", (params) => {
  filterContract(topologyAffinityFilter, { ...situation, params });
});

const peer = { hostname: "h1", rack: "r1", zone: "z1", region: "g1" };
const neighbours: readonly (Topology | undefined)[] = [
  peer,
  { ...peer, hostname: "h2" },
  { ...peer, hostname: "h2", rack: "r2" },
  { region: "g1" },
  { region: "g2" },
  undefined,
];

function kept(params: object, options: RequestOptions, others = neighbours, producer?: string): readonly number[] {
  const endpoints = others.map((place, slot) =>
    buildEndpoint(slot, { attributes: place === undefined ? [] : [[TOPOLOGY.from(producer), place, 0]] }),
  );
  const { instance } = buildPlugin(topologyAffinityFilter, { params });
  return instance.filter!(buildRequest({ ...options, nowMs: 1e9 }), endpoints).map(({ slot }) => slot);
}

test.each([
  ["host", [0]],
  ["rack", [0, 1]],
  ["zone", [0, 1, 2]],
  ["region", [0, 1, 2, 3]],
] as const)("minAffinity %s keeps %j of the neighbours, at any age of what is known", (minAffinity, slots) => {
  expect(kept({ minAffinity }, nearTo(peer))).toEqual(slots);
});

test("the host is what counts by default", () => {
  expect(kept({}, nearTo(peer))).toEqual([0]);
});

test.each([
  { name: "no endpoint was chosen before", options: {} },
  { name: "nobody knows where the chosen one is", options: nearTo(undefined) },
  { name: "none is near it", options: nearTo({ hostname: "elsewhere" }) },
])("all stay when $name", ({ options }) => {
  expect(kept({}, options)).toEqual([0, 1, 2, 3, 4, 5]);
});

test("places are read from the producer that is named", () => {
  const params = { topologyProducerName: "far" };
  expect(kept(params, nearTo(peer, "far"), neighbours, "far")).toEqual([0]);
  expect(kept(params, nearTo(peer), neighbours)).toHaveLength(6);
});

test("a wider level never keeps fewer", () => {
  fc.assert(
    fc.property(places, fc.array(places, { maxLength: 6 }), (chosen, others) => {
      let before: readonly number[] = [];
      for (const minAffinity of ["host", "rack", "zone", "region"]) {
        const now = kept({ minAffinity }, nearTo(chosen), others);
        // The whole list where none is near enough.
        if (now.length === others.length) continue;
        expect(now).toEqual(expect.arrayContaining([...before]));
        before = now;
      }
    }),
  );
});

test.each([{ minAffinity: "node" }, { minAffinity: "" }, { affinity: "host" }])("%j is refused", (params) => {
  expect(() => buildPlugin(topologyAffinityFilter, { params })).toThrow(Object.keys(params)[0]);
});
