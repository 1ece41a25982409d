import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockHasher, hashPrompt } from "./block-hasher.ts";

const tokens = fc.array(fc.integer({ min: 0, max: 4_294_967_295 }), { maxLength: 80 });
const keysOf = (ids: readonly number[], salt = "") => [
  ...hashPrompt(new BlockHasher(4, salt), Uint32Array.from(ids), 4),
];

test("two prompts have equal keys exactly as far as they have equal full blocks", () => {
  fc.assert(
    fc.property(tokens, tokens, tokens, (start, a, b) => {
      const left = [...start, ...a];
      const right = [...start, ...b];
      let equal = 0;
      while (equal < Math.min(left.length, right.length) && left[equal] === right[equal]) equal += 1;
      const [leftKeys, rightKeys] = [keysOf(left), keysOf(right)];
      for (let i = 0; i < Math.min(leftKeys.length, rightKeys.length); i += 1) {
        expect(leftKeys[i] === rightKeys[i]).toBe((i + 1) * 4 <= equal);
      }
    }),
  );
});

test("a key depends on the salt and on everything before its block", () => {
  const block = [1, 2, 3, 4];
  expect(keysOf(block)).not.toEqual(keysOf(block, "tenant"));
  expect(new Set(keysOf([...block, ...block, ...block])).size).toBe(3);
});

test("keys are positive integers that a double holds exactly", () => {
  fc.assert(
    fc.property(tokens, (ids) => {
      expect(keysOf(ids)).toHaveLength(Math.floor(ids.length / 4));
      for (const key of keysOf(ids)) expect(Number.isSafeInteger(key) && key > 0).toBe(true);
    }),
  );
});
