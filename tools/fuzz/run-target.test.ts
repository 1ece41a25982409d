import { expect, test } from "vitest";
import { type FuzzOptions, runTarget } from "./run-target.ts";

const run = (name: string, options: Partial<FuzzOptions> = {}) =>
  runTarget({
    module: new URL(`./test-targets/${name}.ts`, import.meta.url).href,
    seed: 1,
    timeMs: 60_000,
    ...options,
  });

test("an input that breaks a rule is found and made as short as it can be", async () => {
  const { failure, inputs } = await run("breaks-a-rule");
  expect(failure?.text).toContain("a byte is 7");
  expect([...(failure?.input ?? [])]).toEqual([7]);
  expect(inputs).toBeLessThan(500);
});

test("the seed determines the inputs", async () => {
  const text = async (seed: number): Promise<string | undefined> =>
    /hash \d+/.exec((await run("records", { seed })).failure?.text ?? "")?.[0];
  const first = await text(5);
  expect(first).toMatch(/^hash \d+$/);
  expect(await text(5)).toBe(first);
  expect(await text(6)).not.toBe(first);
});

test.each(["hangs", "waits"])("a target that %s is ended, and its input is known", async (name) => {
  const { failure } = await run(name, { inputTimeMs: 500 });
  expect(failure?.text).toBe("took longer than 500 ms");
  expect(failure?.input.length).toBeGreaterThan(0);
});

test("a target that keeps memory of its inputs fails", async () => {
  const { failure } = await run("leaks", { maxInputs: 400, maxHeldBytes: 10_000_000, timeMs: 1000 });
  expect(failure?.text).toMatch(/^holds \d+ bytes more than after its warm-up$/);
});

test("a process with too much memory fails", async () => {
  const { failure } = await run("waits", { maxProcessBytes: 1000 });
  expect(failure?.text).toMatch(/bytes of memory, more than 1000$/);
});

test("an error outside of the check counts as a failure", async () => {
  const { failure } = await run("throws-later");
  expect(failure?.text).toContain("thrown later");
});

test("it ends after the given time without a failure", async () => {
  const { failure, inputs } = await run("breaks-a-rule", { maxInputs: 1 });
  expect(failure).toBeUndefined();
  expect(inputs).toBe(1);
});
