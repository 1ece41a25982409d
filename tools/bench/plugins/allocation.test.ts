import { beforeAll, expect, test } from "vitest";
import { type Allocation, measureAllocations } from "./allocation.ts";
import { allocationExceptions, waitingPlugins } from "./allocation-exceptions.ts";

/** Less than any object, in bytes for each endpoint. */
const nothing = 0.5;

let found: readonly Allocation[] = [];
beforeAll(async () => {
  // What a plugin allocates it allocates in every process; what a single one shows may be code that V8 threw away just then.
  const first = await measureAllocations(100, 1000);
  const second = await measureAllocations(100, 1000);
  found = first.map((each, i) => (bytesOf(second[i]!) < bytesOf(each) ? second[i]! : each));
}, 600_000);

const bytesOf = (each: Allocation): number => ("why" in each ? Number.NEGATIVE_INFINITY : each.bytesPerEndpoint);

const perEndpoint = (): readonly (readonly [type: string, bytes: number])[] =>
  found.flatMap((each) => ("why" in each ? [] : [[each.type, each.bytesPerEndpoint] as const]));

test("every in-tree plugin that sees requests with the pool is measured, but for those in which a request waits", () => {
  expect(found.length).toBeGreaterThan(50);
  expect(found.filter((each) => "why" in each).map(({ type }) => type)).toEqual(waitingPlugins);
});

test("no plugin allocates for each endpoint on the way of a request, but for the exceptions", () => {
  const allocating = perEndpoint().filter(([type, bytes]) => bytes > nothing && !allocationExceptions.has(type));
  expect(allocating).toEqual([]);
});

test("no exception allocates more than it says", () => {
  const over = perEndpoint().filter(([type, bytes]) => {
    const exception = allocationExceptions.get(type);
    return exception !== undefined && bytes > exception.bytesPerEndpoint;
  });
  expect(over).toEqual([]);
});

test("every exception is one", () => {
  const allocating = new Set(perEndpoint().flatMap(([type, bytes]) => (bytes > nothing ? [type] : [])));
  expect([...allocationExceptions.keys()].filter((type) => !allocating.has(type))).toEqual([]);
});
