import { PEER_ENDPOINT, TOPOLOGY, type Topology } from "@pointsman/core";
import {
  buildEndpoint,
  buildPlugin,
  buildRequest,
  monotoneIn,
  pluginContract,
  type RequestOptions,
  scorerContract,
} from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import topologyAffinityScorer from "./index.ts";

const peer = { hostname: "h1", rack: "r1", zone: "z1", region: "g1" };
const far: Topology = { hostname: "h9", rack: "r9", zone: "z9", region: "g9" };
const nearTo = (place: Topology | undefined, producer?: string): RequestOptions => {
  const attributes = place === undefined ? [] : ([[TOPOLOGY.from(producer), place, 0]] as const);
  return { attributes: [[PEER_ENDPOINT, buildEndpoint(99, { attributes })]] };
};

pluginContract(topologyAffinityScorer, { testFile: import.meta.url });
scorerContract(topologyAffinityScorer, {
  request: () => fc.constantFrom<RequestOptions>({}, nearTo(undefined), nearTo(peer)),
});

/** Places that share more and more with the peer. */
const nearer: readonly (Topology | undefined)[] = [
  undefined,
  far,
  { ...far, region: "g1" },
  { ...far, region: "g1", zone: "z1" },
  { ...peer, hostname: "h9" },
  peer,
];

function scores(options: RequestOptions, places: typeof nearer, producer?: string, params = {}): readonly number[] {
  const endpoints = places.map((place, slot) =>
    buildEndpoint(slot, { attributes: place === undefined ? [] : [[TOPOLOGY.from(producer), place, 0]] }),
  );
  const out = new Float64Array(places.length).fill(0.7);
  buildPlugin(topologyAffinityScorer, { params }).instance.score!(
    buildRequest({ ...options, nowMs: 1e9 }),
    endpoints,
    out,
  );
  return [...out];
}

// Source: spec scheduling-plugins C9.
test("unknown, elsewhere, region, zone, rack and host score 0, 0, 0.02, 0.05, 0.2 and 1, at any age", () => {
  expect(scores(nearTo(peer), nearer)).toEqual([0, 0, 0.02, 0.05, 0.2, 1]);
});

test.each([
  { name: "no endpoint was chosen before", options: {} },
  { name: "nobody knows where the chosen one is", options: nearTo(undefined) },
])("all score 0 when $name", ({ options }) => {
  expect(scores(options, nearer)).toEqual([0, 0, 0, 0, 0, 0]);
});

test("places are read from the producer that is named", () => {
  const params = { topologyProducerName: "far" };
  expect(scores(nearTo(peer, "far"), nearer, "far", params)).toEqual([0, 0, 0.02, 0.05, 0.2, 1]);
  expect(scores(nearTo(peer), nearer, undefined, params)).toEqual([0, 0, 0, 0, 0, 0]);
});

test("an endpoint that shares a nearer unit never scores lower, whatever else is the same", () => {
  const part = (own: string) => fc.constantFrom("", own, "other");
  const any = fc.record({ hostname: part("h1"), rack: part("r1"), zone: part("z1"), region: part("g1") });
  fc.assert(
    fc.property(any, fc.constantFrom("hostname", "rack", "zone", "region"), (place, shared) => {
      const [before, after] = scores(nearTo(peer), [place, { ...place, [shared]: peer[shared] }]);
      expect(after).toBeGreaterThanOrEqual(before!);
    }),
  );
});

monotoneIn(topologyAffinityScorer, {
  name: "chosen endpoint of unknown place that becomes known",
  request: () => fc.constant([nearTo(undefined), nearTo(peer)] as const),
});

test("an unknown parameter is refused", () => {
  expect(() => buildPlugin(topologyAffinityScorer, { params: { producer: "a" } })).toThrow("producer");
});
