import { seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ReferenceIndex } from "../test/reference-index.ts";
import { PrefixIndex } from "./prefix-index.ts";

/** A prompt as the choices that lead to its blocks: prompts with the same first choices share their first blocks. */
type Path = readonly number[];

/** Chained hashes of a path as texts. `bits` below 32 make hashes of different paths collide. */
function hashesOf(path: Path, bits: number = 32): string[] {
  const hashes: string[] = [];
  let state = 1;
  for (const choice of path) {
    state = (Math.imul(state ^ (choice + 1), 0x9e3779b1) >>> 0) ^ (state >>> 11);
    hashes.push(`${state >>> (32 - bits)}:${(Math.imul(state, 0x85ebca77) >>> 0) >>> (32 - bits)}`);
  }
  return hashes;
}

function wordsOf(hashes: readonly string[]): Uint32Array {
  return Uint32Array.from(hashes.flatMap((hash) => hash.split(":").map(Number)));
}

function textsOf(words: Uint32Array): string[] {
  return Array.from({ length: words.length / 2 }, (_, i) => `${words[i * 2]}:${words[i * 2 + 1]}`);
}

/** An index with the endpoints `a`, `b`, ... at slots 0, 1, ... of these capacities. */
function indexOf(...capacities: readonly number[]): PrefixIndex {
  const index = new PrefixIndex(1);
  capacities.forEach((capacity, slot) => {
    index.setEndpoint("abcdefgh"[slot]!, slot, capacity);
  });
  return index;
}

function insert(index: PrefixIndex, id: string, path: Path): void {
  index.insert(id, wordsOf(hashesOf(path)), 0, path.length);
}

function match(index: PrefixIndex, path: Path, slots: number): number[] {
  const out = new Int32Array(slots);
  index.match(wordsOf(hashesOf(path)), 0, path.length, out);
  return [...out];
}

test("each endpoint is credited with the blocks it got, up to the first that differs", () => {
  const index = indexOf(10, 10, 10);
  insert(index, "a", [1, 2, 3, 4]);
  insert(index, "b", [1, 2, 9]);
  expect(match(index, [1, 2, 3, 4, 5], 3)).toEqual([4, 2, 0]);
  expect(match(index, [1, 2, 9, 9], 3)).toEqual([2, 3, 0]);
  expect(match(index, [8], 3)).toEqual([0, 0, 0]);
  expect(match(index, [], 3)).toEqual([0, 0, 0]);
});

test("under pressure the end of the oldest prompt goes first, so that its start keeps matching", () => {
  const index = indexOf(6);
  insert(index, "a", [1, 1, 1, 1]);
  insert(index, "a", [2, 2, 2, 2]);
  expect(match(index, [1, 1, 1, 1], 1)).toEqual([2]);
  expect(match(index, [2, 2, 2, 2], 1)).toEqual([4]);
});

test("a prompt longer than the capacity leaves its first blocks and nothing else", () => {
  const index = indexOf(3, 10);
  insert(index, "a", [5, 5]);
  insert(index, "a", [1, 2, 3, 4, 5, 6]);
  expect(match(index, [1, 2, 3, 4, 5, 6], 1)).toEqual([3]);
  expect([index.entries, index.blocksOf("a")]).toEqual([3, 3]);
  expect(textsOf(index.hashesOf("a"))).toEqual(hashesOf([1, 2, 3]));
});

test("a look-up leaves the order of eviction as it is, an insertion renews it", () => {
  const index = indexOf(4);
  insert(index, "a", [1, 1]);
  insert(index, "a", [2, 2]);
  match(index, [1, 1], 1);
  insert(index, "a", [3, 3]);
  expect(match(index, [1, 1], 1)).toEqual([0]);
  insert(index, "a", [2, 2]);
  insert(index, "a", [4, 4]);
  expect([match(index, [2, 2], 1), match(index, [3, 3], 1)]).toEqual([[2], [0]]);
});

test("a smaller capacity drops the oldest blocks at once, a larger one drops none", () => {
  const index = indexOf(6);
  insert(index, "a", [1, 1, 1]);
  insert(index, "a", [2, 2, 2]);
  index.setEndpoint("a", 0, 4);
  expect([match(index, [1, 1, 1], 1), match(index, [2, 2, 2], 1)]).toEqual([[1], [3]]);
  index.setEndpoint("a", 0, 100);
  insert(index, "a", [3, 3, 3]);
  expect([match(index, [1, 1, 1], 1), match(index, [3, 3, 3], 1)]).toEqual([[1], [3]]);
});

test("matches of a removed endpoint end at once, and its number serves the next one", () => {
  const index = indexOf(10, 10);
  insert(index, "a", [1, 2]);
  insert(index, "b", [1, 2, 3]);
  index.removeEndpoint("a");
  expect([match(index, [1, 2, 3], 2), index.entries, index.blocksOf("a")]).toEqual([[0, 3], 3, 0]);
  expect(index.reclaim(1)).toBe(true);
  expect(index.reclaim(1)).toBe(false);
  index.setEndpoint("c", 0, 10);
  insert(index, "c", [1]);
  expect(match(index, [1, 2, 3], 2)).toEqual([1, 3]);
  expect([...index.endpointIds()]).toEqual(["b", "c"]);
});

test("an endpoint that comes back under its name starts empty", () => {
  const index = indexOf(10);
  insert(index, "a", [1, 2]);
  index.removeEndpoint("a");
  index.setEndpoint("a", 3, 10);
  expect(match(index, [1, 2], 4)).toEqual([0, 0, 0, 0]);
  insert(index, "a", [1]);
  expect(match(index, [1, 2], 4)).toEqual([0, 0, 0, 1]);
});

test("ids that are not in the index are ignored", () => {
  const index = indexOf(10);
  insert(index, "nobody", [1]);
  index.removeEndpoint("nobody");
  expect([index.entries, index.blocksOf("nobody"), index.hashesOf("nobody").length]).toEqual([0, 0, 0]);
});

test("slots beyond the table are left out", () => {
  const index = indexOf(10, 10);
  insert(index, "a", [1]);
  insert(index, "b", [1]);
  expect(match(index, [1], 1)).toEqual([1]);
});

test("a thousand endpoints that share a beginning are told apart where they part", () => {
  const index = new PrefixIndex(7);
  for (let i = 0; i < 1000; i++) index.setEndpoint(`e${i}`, i, 100);
  for (let i = 0; i < 1000; i++) insert(index, `e${i}`, [1, 2, 3, i % 10, i]);
  const matched = match(index, [1, 2, 3, 4, 44], 1000);
  expect(matched[44]).toBe(5);
  expect(matched.filter((blocks) => blocks === 4)).toHaveLength(99);
  expect(matched.filter((blocks) => blocks === 3)).toHaveLength(900);
  for (let i = 0; i < 999; i++) index.removeEndpoint(`e${i}`);
  while (index.reclaim(64));
  expect(match(index, [1, 2, 3, 9, 999], 1000).filter((blocks) => blocks > 0)).toEqual([5]);
});

test("thousands of prompts that part at the same block are each found, also while some go", () => {
  const index = indexOf(9000, 20_000);
  const prompts = Array.from({ length: 12_000 }, (_, i) => [7, 7, i]);
  for (const one of prompts) insert(index, "a", one);
  for (const one of prompts) insert(index, "b", one);
  // Of 12,000 last blocks and the two before, the first endpoint keeps the latest 9,000.
  prompts.forEach((one, i) => {
    expect(match(index, one, 2)).toEqual([i < 12_000 - 8998 ? 2 : 3, 3]);
  });
  index.removeEndpoint("b");
  while (index.reclaim(1000));
  expect(match(index, prompts[0]!, 2)).toEqual([2, 0]);
  expect(match(index, prompts[11_999]!, 2)).toEqual([3, 0]);
});

/** What may happen to an index; `e` is an endpoint, `capacity` and `blocks` are in blocks. */
type Step =
  | { readonly kind: "insert"; readonly e: number; readonly path: Path }
  | { readonly kind: "match"; readonly path: Path }
  | { readonly kind: "set"; readonly e: number; readonly capacity: number }
  | { readonly kind: "remove"; readonly e: number }
  | { readonly kind: "reclaim"; readonly blocks: number };

const endpoint = fc.nat(5);
const path = fc.array(fc.nat(1), { maxLength: 12 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("insert" as const), e: endpoint, path }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("match" as const), path }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("set" as const), e: endpoint, capacity: fc.integer({ min: 1, max: 25 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), e: endpoint }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("reclaim" as const), blocks: fc.integer({ min: 1, max: 9 }) }),
  },
);

test("the index does what exact LRU lists and sets do, whatever happens", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer(), (steps, seed) => {
      const index = new PrefixIndex(seed);
      const reference = new ReferenceIndex();
      for (const one of steps) {
        if (one.kind === "set") {
          index.setEndpoint(`e${one.e}`, one.e, one.capacity);
          reference.setEndpoint(`e${one.e}`, one.e, one.capacity);
        } else if (one.kind === "remove") {
          index.removeEndpoint(`e${one.e}`);
          reference.removeEndpoint(`e${one.e}`);
        } else if (one.kind === "reclaim") {
          index.reclaim(one.blocks);
        } else {
          const hashes = hashesOf(one.path);
          const words = wordsOf(hashes);
          if (one.kind === "insert") {
            index.insert(`e${one.e}`, words, 0, hashes.length);
            reference.insert(`e${one.e}`, hashes);
          }
          const matched = new Int32Array(6);
          index.match(words, 0, hashes.length, matched);
          expect(matched).toEqual(reference.match(hashes, 6));
        }
        expect(index.entries).toBe(reference.entries);
        for (const id of index.endpointIds()) expect(textsOf(index.hashesOf(id))).toEqual(reference.hashesOf(id));
      }
    }),
    { numRuns: 300 },
  );
});

test("prompts in the middle of an array of hashes match like prompts of their own", () => {
  fc.assert(
    fc.property(fc.array(path, { minLength: 1, maxLength: 4 }), path, (inserted, asked) => {
      const alone = indexOf(50);
      const packed = indexOf(50);
      const all = wordsOf(inserted.flatMap((one) => hashesOf(one)));
      let start = 0;
      for (const one of inserted) {
        insert(alone, "a", one);
        packed.insert("a", all, start, start + one.length);
        start += one.length;
      }
      expect(match(packed, asked, 1)).toEqual(match(alone, asked, 1));
      expect(packed.hashesOf("a")).toEqual(alone.hashesOf("a"));
    }),
  );
});

test("hashes that collide cost matches at most: sizes stay in bounds and everything can be given back", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.array(fc.nat(9), { maxLength: 20 })), { maxLength: 60 }), (inserts) => {
      const index = indexOf(7, 3, 30, 100);
      for (const [e, one] of inserts) {
        const hashes = hashesOf(one, 2);
        const words = wordsOf(hashes);
        index.insert("abcd"[e]!, words, 0, hashes.length);
        const matched = new Int32Array(4);
        index.match(words, 0, hashes.length, matched);
        expect(matched[e]).toBe(Math.min(hashes.length, [7, 3, 30, 100][e]!));
        for (const blocks of matched) expect(blocks).toBeLessThanOrEqual(hashes.length);
      }
      const held = [..."abcd"].map((id) => index.blocksOf(id));
      expect(index.entries).toBe(held.reduce((sum, blocks) => sum + blocks, 0));
      held.forEach((blocks, e) => {
        expect(blocks).toBeLessThanOrEqual([7, 3, 30, 100][e]!);
        expect(textsOf(index.hashesOf("abcd"[e]!))).toHaveLength(blocks);
      });
      for (const id of "abcd") index.removeEndpoint(id);
      while (index.reclaim(5));
      expect([index.entries, match(index, [1, 2, 3], 4)]).toEqual([0, [0, 0, 0, 0]]);
    }),
  );
});

/** Bytes an index takes after some rounds of work, and after ten times as many. */
function memoryAfter(index: PrefixIndex, rounds: number, work: (round: number) => void): number[] {
  let round = 0;
  while (round < rounds) work(round++);
  const early = index.memoryBytes;
  while (round < rounds * 10) work(round++);
  return [early, index.memoryBytes];
}

test("memory stays as it is while prompts displace each other", () => {
  const index = indexOf(200);
  const [early, late] = memoryAfter(index, 500, (round) => {
    insert(index, "a", [round, ...new Array<number>(49).fill(1)]);
  });
  expect(late).toBe(early);
});

test("memory stays as it is while endpoints share blocks that part and displace each other", () => {
  const index = indexOf(300, 300, 300);
  const [early, late] = memoryAfter(index, 2000, (round) => {
    for (const id of "abc") insert(index, id, [7, round, 1]);
  });
  expect(late).toBe(early);
});

test("memory stays as it is while endpoints come and go", () => {
  const index = new PrefixIndex(1);
  const random = seededRandom(3);
  const [early, late] = memoryAfter(index, 200, (round) => {
    index.setEndpoint(`e${round}`, round % 50, 500);
    insert(index, `e${round}`, [1, ...Array.from({ length: 99 }, () => Math.floor(random() * 5))]);
    index.removeEndpoint(`e${round - 10}`);
    index.reclaim(200);
  });
  expect(late).toBe(early);
});
