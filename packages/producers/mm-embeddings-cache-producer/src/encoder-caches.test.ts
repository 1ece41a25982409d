import type { Endpoint } from "@pointsman/core";
import { buildEndpoint } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { EncoderCaches } from "./encoder-caches.ts";

function cachesOver(endpoints: readonly Endpoint[], capacity: number): EncoderCaches {
  return new EncoderCaches(capacity, () => endpoints);
}

const holders = (caches: EncoderCaches, hash: string): string[] =>
  Array.from(caches.holders(hash), ({ endpoint }) => endpoint.id).sort();

test("the item used longest ago is displaced; looking renews nothing, adding does", () => {
  const [endpoint] = [buildEndpoint(0)];
  const caches = cachesOver([endpoint], 2);
  caches.add(endpoint, ["a", "b"]);
  caches.holders("a");
  caches.add(endpoint, ["c"]);
  expect(["a", "b", "c"].map((hash) => holders(caches, hash).length)).toEqual([0, 1, 1]);
  caches.add(endpoint, ["b"]);
  caches.add(endpoint, ["d"]);
  expect(["b", "c", "d"].map((hash) => holders(caches, hash).length)).toEqual([1, 0, 1]);
});

test("an endpoint that is not known is not recorded", () => {
  const caches = cachesOver([], 2);
  caches.add(buildEndpoint(0), ["a"]);
  expect([caches.entries, caches.items]).toEqual([0, 0]);
});

interface Step {
  readonly kind: "add" | "come" | "go" | "goUnnoticed" | "sweep";
  readonly name: number;
  readonly hashes: readonly string[];
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("add", "add", "add", "add", "come", "go", "goUnnoticed", "sweep"),
  name: fc.nat(2),
  hashes: fc.array(fc.constantFrom("a", "b", "c", "d", "e", "f"), { maxLength: 4 }),
});

test("caches do what lists of recent items do, whatever happens, and keep nothing else", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, capacity) => {
      let known: Endpoint[] = [];
      const caches = new EncoderCaches(capacity, () => known);
      /** Newest last. */
      let model: { endpoint: Endpoint; hashes: string[] }[] = [];
      for (const { kind, name, hashes } of steps) {
        const current = known.find((endpoint) => endpoint.metadata.name === `e${name}`);
        if (kind === "add" && current !== undefined) {
          caches.add(current, hashes);
          let entry = model.find(({ endpoint }) => endpoint === current);
          if (entry === undefined) {
            model = model.filter(({ endpoint }) => endpoint.id !== current.id);
            entry = { endpoint: current, hashes: [] };
            model.push(entry);
          }
          for (const hash of hashes) {
            entry.hashes = [...entry.hashes.filter((one) => one !== hash), hash].slice(-capacity);
          }
        } else if (kind === "come") {
          // Also in place of one that goes unnoticed: a new object under the id.
          const endpoint = buildEndpoint(name, { name: `e${name}` });
          known = [...known.filter(({ id }) => id !== endpoint.id), endpoint];
          caches.endpointChanged({ type: "addOrUpdate", endpoint });
          model = model.filter((entry) => entry.endpoint.id !== endpoint.id);
        } else if (kind === "go" && current !== undefined) {
          known = known.filter((endpoint) => endpoint !== current);
          caches.endpointChanged({ type: "delete", endpoint: current });
          model = model.filter(({ endpoint }) => endpoint !== current);
        } else if (kind === "goUnnoticed") {
          known = known.filter((endpoint) => endpoint !== current);
        } else if (kind === "sweep") {
          caches.sweep();
          model = model.filter(({ endpoint }) => known.includes(endpoint));
        }
        for (const hash of ["a", "b", "c", "d", "e", "f"]) {
          const expected = model.filter((entry) => entry.hashes.includes(hash)).map(({ endpoint }) => endpoint.id);
          expect(holders(caches, hash)).toEqual(expected.sort());
        }
        expect(caches.entries).toBe(model.reduce((sum, entry) => sum + entry.hashes.length, 0));
        expect(caches.items).toBe(new Set(model.flatMap((entry) => entry.hashes)).size);
      }
    }),
  );
});

test("endpoints that come and go leave nothing behind", () => {
  let known: Endpoint[] = [];
  const caches = new EncoderCaches(100, () => known);
  for (let i = 0; i < 1000; i++) {
    known = [buildEndpoint(i % 5, { name: `e${i}` })];
    caches.add(known[0]!, [`a${i}`, `b${i}`, "shared"]);
    if (i % 2 === 0) caches.endpointChanged({ type: "delete", endpoint: known[0]! });
  }
  known = [];
  caches.sweep();
  expect([caches.entries, caches.items, [...caches.sizes()]]).toEqual([0, 0, []]);
});
