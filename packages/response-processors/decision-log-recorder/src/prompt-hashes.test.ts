import fc from "fast-check";
import { expect, test } from "vitest";
import { maxHashes, PromptHashing } from "./prompt-hashes.ts";

const plain = (ids: readonly number[]) => ({ tokenIds: Uint32Array.from(ids), features: [] });
const tokens = fc.array(fc.nat(2), { maxLength: 12 });

test("numbers of two blocks are equal if and only if all tokens up to the blocks' ends are", () => {
  fc.assert(
    fc.property(tokens, tokens, (a, b) => {
      const hashing = new PromptHashing(4, "");
      const [first, second] = [a, b].map((ids) => hashing.hash([plain(ids)], "m", undefined)!);
      expect(first!.ids).toHaveLength(Math.ceil(a.length / 4));
      expect(first!.promptTokens).toBe(a.length);
      for (let block = 0; block < Math.min(first!.ids.length, second!.ids.length); block++) {
        const upTo = (ids: readonly number[]): string => ids.slice(0, (block + 1) * 4).join();
        expect(first!.ids[block] === second!.ids[block]).toBe(upTo(a) === upTo(b));
        expect(Number.isSafeInteger(first!.ids[block])).toBe(true);
        expect(first!.ids[block]).toBeLessThan(2 ** 52);
      }
    }),
  );
});

test("another model, salt or cache salt gives other numbers; the same ones give the same in another process", () => {
  const hash = (salt: string, model: string, cacheSalt?: string) =>
    new PromptHashing(4, salt).hash([plain([1, 2, 3])], model, cacheSalt)!.ids[0];
  const all = [hash("", "m"), hash("s", "m"), hash("", "n"), hash("", "m", "s"), hash("m", "")];
  expect(new Set(all).size).toBe(all.length);
  expect(hash("s", "m")).toBe(hash("s", "m"));
});

test("several prompts count as one after another", () => {
  const hashing = new PromptHashing(2, "");
  const together = hashing.hash([plain([1, 2, 3]), plain([4])], "m", undefined);
  expect(together).toEqual(hashing.hash([plain([1, 2, 3, 4])], "m", undefined));
  expect(hashing.hash([], "m", undefined)).toEqual({ promptTokens: 0, ids: [] });
});

test("prompts whose media differ are different from the first block with media on", () => {
  const hashing = new PromptHashing(2, "");
  const withMedia = (hash: string) =>
    hashing.hash(
      [{ tokenIds: new Uint32Array(6), features: [{ modality: "image", hash, offsetTokens: 2, lengthTokens: 1000 }] }],
      "m",
      undefined,
    )!.ids;
  expect(withMedia("a")).toEqual(withMedia("a"));
  expect(withMedia("a")[0]).toBe(withMedia("b")[0]);
  expect(
    withMedia("a")
      .slice(1)
      .some((id, i) => id === withMedia("b")[i + 1]),
  ).toBe(false);
});

test("a prompt of too many blocks has no hashes", () => {
  const hashing = new PromptHashing(1, "");
  expect(hashing.hash([{ tokenIds: new Uint32Array(maxHashes), features: [] }], "m", undefined)!.ids).toHaveLength(
    maxHashes,
  );
  expect(hashing.hash([{ tokenIds: new Uint32Array(maxHashes + 1), features: [] }], "m", undefined)).toBeUndefined();
});

test("a session is told apart from others without being told", () => {
  const hashing = new PromptHashing(1, "salt");
  expect(hashing.sessionOf("alice")).toBe(hashing.sessionOf("alice"));
  expect(hashing.sessionOf("alice")).not.toBe(hashing.sessionOf("bob"));
  expect(hashing.sessionOf("alice")).not.toBe(new PromptHashing(1, "").sessionOf("alice"));
  expect(hashing.sessionOf("alice")).toMatch(/^[0-9a-z]+$/);
});
