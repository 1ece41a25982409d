import type { Endpoint } from "@pointsman/core";
import { PrefixHasher } from "@pointsman/core/xxh64";
import { buildEndpoint } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type BurstEntry, placeBurst } from "./place-burst.ts";

const hasher = new PrefixHasher();
const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

/** A request whose prompts have one block for each number. */
function entryOf(endpoints: readonly Endpoint[], ...prompts: readonly (readonly number[])[]): BurstEntry {
  const tokens = prompts.map((prompt) => ({ tokenIds: Uint32Array.from(prompt) }));
  return { endpoints, hashes: hasher.hash(tokens, "m", "", 1, 2048) };
}

interface Options {
  readonly maxPerReplica?: number;
  readonly minColocateBlocks?: number;
  readonly balanceBy?: "requests" | "tokens";
  readonly running?: (endpoint: Endpoint) => number | undefined;
}

/** Slots where requests are placed, -1 for one that is not. */
function slotsOf(entries: readonly BurstEntry[], options: Options = {}): number[] {
  const { running = () => undefined, ...given } = options;
  const params = { maxPerReplica: -1, minColocateBlocks: 0, balanceBy: "requests" as const, ...given };
  return placeBurst(entries, params, running).map((endpoint) => endpoint?.slot ?? -1);
}

/** How many of `slots` are each of 0 to `count` - 1. */
const counts = (slots: readonly number[], count: number): number[] =>
  Array.from({ length: count }, (_, slot) => slots.filter((one) => one === slot).length);

// Source: spec scheduling-plugins, golden values.
test.each([
  { replicas: 4, k: -1, expected: [8, 0, 0, 0] },
  { replicas: 4, k: 2, expected: [2, 2, 2, 2] },
  { replicas: 4, k: 4, expected: [4, 4, 0, 0] },
  { replicas: 2, k: 2, expected: [4, 4] },
])("a group of 8 on $replicas endpoints, at most $k on each: $expected", ({ replicas, k, expected }) => {
  const endpoints = pool(replicas);
  const entries = Array.from({ length: 8 }, () => entryOf(endpoints, [1, 2, 3]));
  expect(counts(slotsOf(entries, { maxPerReplica: k }), replicas)).toEqual(expected);
});

test("requests of one group go to an endpoint in the order they came", () => {
  const endpoints = pool(2);
  const entries = Array.from({ length: 4 }, () => entryOf(endpoints, [1]));
  expect(slotsOf(entries, { maxPerReplica: 2 })).toEqual([0, 0, 1, 1]);
});

test("single requests are not placed, groups go to different endpoints, the longest prompt first", () => {
  const endpoints = pool(3);
  const [short, long, alone] = [[1], [2, 2], [3, 3, 3]];
  const entries = [short, long, alone, short, long].map((prompt) => entryOf(endpoints, prompt!));
  expect(slotsOf(entries)).toEqual([1, 0, -1, 1, 0]);
});

test("a prompt that is the beginning of another one is another prompt", () => {
  const endpoints = pool(2);
  expect(slotsOf([entryOf(endpoints, [1, 2]), entryOf(endpoints, [1, 2, 3])])).toEqual([-1, -1]);
});

test("of equally loaded endpoints the one with fewer running requests comes first, unknown ones last, then the lower id", () => {
  const endpoints = pool(4);
  const running = (numbers: readonly (number | undefined)[]) => (endpoint: Endpoint) => numbers[endpoint.slot];
  const entries = [entryOf(endpoints, [1]), entryOf(endpoints, [1])];
  expect(slotsOf(entries, { running: running([3, 2, 2, 9]) })).toEqual([1, 1]);
  expect(slotsOf(entries, { running: running([undefined, Number.NaN, -1, 50]) })).toEqual([3, 3]);
  expect(slotsOf(entries.map(({ hashes }) => ({ hashes, endpoints: endpoints.toReversed() })))).toEqual([0, 0]);
});

test("with colocation, single requests that share enough blocks are placed where most of them is", () => {
  const endpoints = pool(2);
  const prompts = [
    [1, 2, 3, 4, 10],
    [1, 2, 3, 5],
    [1, 2, 9],
    [8, 8, 8],
  ];
  const entries = prompts.map((prompt) => entryOf(endpoints, prompt));
  // Three units make a fair share of 2: the third has to leave.
  expect(slotsOf(entries, { minColocateBlocks: 2 })).toEqual([0, 0, 1, -1]);
  expect(slotsOf(entries, { minColocateBlocks: 3 })).toEqual([0, 1, -1, -1]);
  expect(slotsOf(entries, { minColocateBlocks: 0 })).toEqual([-1, -1, -1, -1]);
});

test("colocation prefers the endpoint with the longer beginning", () => {
  const endpoints = pool(3);
  const group = (prompt: readonly number[]) => [entryOf(endpoints, prompt), entryOf(endpoints, prompt)];
  const entries = [
    ...group([1, 1, 1, 1, 1, 1]),
    ...group([2, 2, 2, 2, 2]),
    ...group([1, 1, 7, 7]),
    entryOf(endpoints, [2, 2, 9]),
  ];
  // Seven requests on three endpoints: a fair share of 3.
  expect(slotsOf(entries, { minColocateBlocks: 2 })).toEqual([0, 0, 1, 1, 0, 0, 1]);
});

test("only the first requests of a group are colocated, as many as the limit allows", () => {
  const endpoints = pool(2);
  const group = (count: number, prompt: readonly number[]) =>
    Array.from({ length: count }, () => entryOf(endpoints, prompt));
  const entries = [...group(2, [1, 1, 1]), ...group(4, [1, 1])];
  expect(slotsOf(entries, { minColocateBlocks: 2, maxPerReplica: 3 })).toEqual([0, 0, 0, 0, 0, 1]);
  expect(slotsOf(entries, { minColocateBlocks: 2, maxPerReplica: 2 })).toEqual([0, 0, 0, 0, 1, 1]);
});

test("the limit counts each group for itself: one that comes late stays whole", () => {
  const endpoints = pool(2);
  const entries = [[1, 1, 1], [2, 2], [3]].flatMap((prompt) =>
    Array.from({ length: 4 }, () => entryOf(endpoints, prompt)),
  );
  expect(slotsOf(entries, { maxPerReplica: 4 })).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]);
});

test("counted in tokens, load is the blocks an endpoint has to compute", () => {
  const endpoints = pool(2);
  const group = (count: number, prompt: readonly number[]) =>
    Array.from({ length: count }, () => entryOf(endpoints, prompt));
  const entries = [...group(9, [1, 1, 1, 1]), ...group(2, [2, 2, 2]), ...group(2, [3]), ...group(2, [4])];
  // 4 and 3 blocks, then 1 makes 4 and 4, then the lower id.
  expect(slotsOf(entries, { balanceBy: "tokens" }).filter((_, i) => i === 0 || i > 8)).toEqual([0, 1, 1, 1, 1, 0, 0]);
  // What is held already costs nothing: 4 blocks and the one that differs.
  const shared = [...group(2, [1, 1, 1, 1]), ...group(2, [1, 1, 9]), ...group(2, [5, 5]), ...group(2, [6])];
  expect(slotsOf(shared, { balanceBy: "tokens", minColocateBlocks: 2 })).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
});

test("a request is placed among its own candidates, and load counts across", () => {
  const endpoints = pool(3);
  const entries = [
    entryOf(endpoints.slice(0, 2), [1, 1]),
    entryOf(endpoints.slice(0, 2), [1, 1]),
    entryOf(endpoints.slice(0, 1), [1]),
    entryOf(endpoints.slice(0, 1), [1]),
    entryOf(endpoints, [2]),
    entryOf([...endpoints], [2]),
  ];
  expect(slotsOf(entries)).toEqual([0, 0, 0, 0, 1, 1]);
});

test("requests with several prompts share blocks in a row", () => {
  const endpoints = pool(2);
  const two = () => entryOf(endpoints, [1, 2], [], [7, 8, 9]);
  expect(slotsOf([two(), two(), entryOf(endpoints, [1, 2, 7, 8, 9])])).toEqual([0, 0, -1]);
  const alike = entryOf(endpoints, [1, 2], [], [7, 8, 5]);
  expect(slotsOf([two(), alike], { minColocateBlocks: 4 })).toEqual([0, 1]);
  expect(slotsOf([two(), alike], { minColocateBlocks: 5 })).toEqual([-1, -1]);
});

const prompt = fc.array(fc.nat(2), { minLength: 1, maxLength: 6 });
const options = fc.record({
  maxPerReplica: fc.constantFrom(-1, 1, 2, 3),
  minColocateBlocks: fc.nat(4),
  balanceBy: fc.constantFrom("requests" as const, "tokens" as const),
});

test("what is placed, and in which numbers, follows the rules whatever arrives", () => {
  fc.assert(
    fc.property(fc.array(prompt, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), options, (prompts, n, given) => {
      const endpoints = pool(n);
      const slots = slotsOf(
        prompts.map((one) => entryOf(endpoints, one)),
        given,
      );
      const shared = (a: readonly number[], b: readonly number[]): number => {
        let same = 0;
        while (same < a.length && same < b.length && a[same] === b[same]) same++;
        return same;
      };
      // A request is placed exactly if another one has its prompt, or enough of it.
      prompts.forEach((one, i) => {
        const others = prompts.filter((_, other) => other !== i);
        const twin = others.some((other) => other.join() === one.join());
        const near =
          given.minColocateBlocks > 0 && others.some((other) => shared(one, other) >= given.minColocateBlocks);
        expect(slots[i] !== -1).toBe(twin || near);
      });
      // With no prompt does an endpoint exceed the limit while another is below it.
      const limit = given.maxPerReplica === -1 ? Number.POSITIVE_INFINITY : given.maxPerReplica;
      for (const key of new Set(prompts.map((one) => one.join()))) {
        const own = slots.filter((_, i) => prompts[i]!.join() === key);
        const used = counts(own, n);
        if (used.some((count) => count > limit)) for (const count of used) expect(count).toBeGreaterThanOrEqual(limit);
      }
    }),
  );
});

test("the order of candidates does not matter", () => {
  fc.assert(
    fc.property(fc.array(prompt, { maxLength: 20 }), options, fc.nat(3), (prompts, given, turn) => {
      const endpoints = pool(4);
      const turned = [...endpoints.slice(turn), ...endpoints.slice(0, turn)];
      const placed = (candidates: readonly Endpoint[]) =>
        slotsOf(
          prompts.map((one) => entryOf(candidates, one)),
          given,
        );
      expect(placed(turned)).toEqual(placed(endpoints));
    }),
  );
});
