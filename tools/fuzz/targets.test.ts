import { afterAll, describe, expect, test } from "vitest";
import { FuzzRandom } from "./fuzz-random.ts";
import { seedsOf } from "./fuzz-seeds.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { mutate } from "./mutate.ts";
import { targetNames } from "./target-names.ts";

const targets = await Promise.all(
  targetNames().map(async (name) => {
    const { default: target } = (await import(`./targets/${name}.ts`)) as { readonly default: FuzzTarget };
    return { name, target };
  }),
);
afterAll(() => {
  for (const { target } of targets) target.stop?.();
});

describe.each(targets)("$name", ({ name, target }) => {
  test("keeps its rules on the inputs that broke one before", async () => {
    for (const [file, input] of seedsOf(name)) {
      try {
        await target.check(input);
      } catch (cause) {
        throw new Error(`seeds/${name}/${file}: ${String(cause)}`, { cause });
      }
    }
  });

  test("keeps its rules on 60 inputs", async () => {
    for (let index = 0; index < 60; index++) {
      const random = FuzzRandom.at(1, index);
      const sample = target.sample(random);
      await target.check(index % 2 === 0 ? sample : mutate(sample, sample, random, target.maxInputBytes ?? 16_384));
    }
  });

  test("makes the same input of the same random numbers", () => {
    const inputs = [1, 1, 2].map((seed) => {
      const random = FuzzRandom.at(seed, 3);
      return Buffer.from(
        Array.from({ length: 10 }, () => Buffer.from(target.sample(random)).toString("hex")).join("/"),
      );
    });
    expect(inputs[0]!.equals(inputs[1]!)).toBe(true);
    expect(inputs[0]!.equals(inputs[2]!)).toBe(false);
  });
});

test("there are targets", () => {
  expect(targets.length).toBeGreaterThanOrEqual(13);
});
