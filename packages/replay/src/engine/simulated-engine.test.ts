import { expect, test } from "vitest";
import { VirtualTime } from "../virtual-time.ts";
import { buildWorkload, type RequestOutline, type WorkloadRequest } from "../workload/workload.ts";
import type { EngineModel } from "./engine-model.ts";
import { type EngineTrouble, type Sequence, SimulatedEngine } from "./simulated-engine.ts";

/** Numbers that can be added up by hand: a prompt token costs 1 ms without context, a step 10 ms. */
const model: EngineModel = {
  kvBlocks: 100,
  blockTokens: 4,
  prefillTokensPerSecond: 1000,
  attentionTokens: 50,
  maxBatchedTokens: 20,
  maxSequences: 3,
  stepBaseMs: 10,
  stepPerSequenceMs: 2,
  stepPer1kContextMs: 100,
};

type Prompt = { readonly prompt: RequestOutline["prompt"]; readonly outputTokens: number };

class Bench {
  readonly time = new VirtualTime();
  readonly requests: readonly WorkloadRequest[];
  readonly engine: SimulatedEngine;
  /** What happened, as `time request:output tokens`. */
  readonly log: string[] = [];
  readonly done: Sequence[] = [];

  constructor(prompts: readonly Prompt[], changes: Partial<EngineModel> = {}, trouble?: EngineTrouble) {
    const outlines = prompts.map(({ prompt, outputTokens }, i) => ({
      ...{ atMs: 0, prompt, output: { id: -1 - i, tokens: outputTokens } },
    }));
    const merged = { ...model, ...changes };
    const workload = buildWorkload("bench", outlines, merged.blockTokens);
    this.requests = workload.requests;
    this.engine = new SimulatedEngine({
      ...{ index: 0, model: merged, keyCount: workload.keyCount, trouble },
      now: () => this.time.now(),
      at: (atMs, run) => void this.time.at(atMs, run),
    });
  }

  submit(index: number, atMs = 0): void {
    this.time.at(atMs, () => {
      this.engine.submit(this.requests[index]!, (sequence) => {
        this.log.push(`${this.time.now()} ${index}:${sequence.outputTokens}`);
        if (!Number.isNaN(sequence.finishedMs)) this.done.push(sequence);
      });
    });
  }

  run(): void {
    while (this.time.step());
  }
}

const prompt = (id: number, tokens: number, outputTokens = 1): Prompt => ({ prompt: [{ id, tokens }], outputTokens });

test("a prompt costs its tokens, its attention and one step; each further token costs a step of decode", () => {
  const bench = new Bench([prompt(1, 10, 3)]);
  bench.submit(0, 5);
  bench.run();
  // Prompt: 10 + 10 * 5 / 50 = 11, step 10. Decode: 10 + 2 + 0.1 * 11, then 0.1 * 12.
  const first = 5 + 11 + 10;
  expect(bench.done[0]).toMatchObject({ submittedMs: 5, admittedMs: 5, firstTokenMs: first, outputTokens: 3 });
  expect(bench.done[0]!.finishedMs).toBeCloseTo(first + 13.1 + 13.2, 9);
  expect(bench.engine.busyMs).toBeCloseTo(21 + 26.3, 9);
  expect(bench.engine.present).toBe(0);
});

test("a prompt longer than the step's budget is computed in chunks, each after the context before it", () => {
  const bench = new Bench([prompt(1, 30)]);
  bench.submit(0);
  bench.run();
  // 20 + 20 * 10 / 50 + 10, then 10 + 10 * (20 + 5) / 50 + 10.
  expect(bench.done[0]!.firstTokenMs).toBeCloseTo(34 + 25, 9);
});

test("decoding sequences come first in a step, the rest of the budget goes to prompts in order of arrival", () => {
  const bench = new Bench([prompt(1, 4, 3), prompt(2, 18), prompt(3, 18)]);
  bench.submit(0);
  bench.submit(1, 1);
  bench.submit(2, 2);
  bench.run();
  // Step 1 ends at 4 + 4 * 2 / 50 + 10. Step 2 decodes one, computes 18 of the second prompt and 1 of the third.
  const [, second, third] = [0, 1, 2].map((i) => bench.done.find(({ request }) => request.index === i)!);
  const one = 14.16;
  const two = one + 18 + (18 * 9) / 50 + 1 + 0.5 / 50 + 12.5;
  expect(second!.admittedMs).toBeCloseTo(one, 9);
  expect(second!.firstTokenMs).toBeCloseTo(two, 9);
  expect(third!.admittedMs).toBeCloseTo(one, 9);
  // Step 3: the third's other 17 after 1, and one decode of 6 tokens of context.
  expect(third!.firstTokenMs).toBeCloseTo(two + 17 + (17 * (1 + 8.5)) / 50 + 12.6, 9);
});

test("requests begin in order of arrival, also when a later one would fit where an earlier one does not", () => {
  // 10 blocks: the first takes 8, the second needs 5, the third 1.
  const bench = new Bench([prompt(1, 30, 3), prompt(2, 18, 2), prompt(3, 3)], { kvBlocks: 10 });
  for (let i = 0; i < 3; i++) bench.submit(i, i);
  bench.run();
  const [first, second, third] = [0, 1, 2].map((i) => bench.done.find(({ request }) => request.index === i)!);
  expect(second!.admittedMs).toBe(first!.finishedMs);
  expect(third!.admittedMs).toBe(second!.admittedMs);
});

test("no more sequences run at a time than the engine may have", () => {
  const bench = new Bench(Array.from({ length: 5 }, (_, i) => prompt(i, 2, 2)));
  for (let i = 0; i < 5; i++) bench.submit(i);
  bench.run();
  const admitted = bench.done.toSorted((a, b) => a.request.index - b.request.index).map(({ admittedMs }) => admittedMs);
  const [firstDone, nextDone] = bench.done.map(({ finishedMs }) => finishedMs);
  // The first comes alone; two more begin with the next step; the others wait for one to end.
  expect(admitted[1]).toBe(admitted[2]);
  expect(admitted[2]).toBeLessThan(firstDone!);
  expect(admitted[3]).toBe(firstDone);
  expect(admitted[4]).toBe(nextDone);
});

test("what a finished request computed is found again, answer included, but for the last token of a prompt", () => {
  const said = [
    { id: 1, tokens: 8 },
    { id: -1, tokens: 5 },
    { id: 2, tokens: 7 },
  ];
  const bench = new Bench([prompt(1, 8, 5), { prompt: said, outputTokens: 1 }, prompt(1, 8), prompt(1, 7)]);
  bench.submit(0);
  for (let i = 1; i < 4; i++) bench.submit(i, 1000 * i);
  bench.run();
  // 8 prompt tokens and 4 of the 5 answered ones are stored: 3 blocks. Of 8 tokens one must be computed: 1 block; of 7 too.
  expect(bench.done.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 12, 4, 4]);
  expect(bench.done[2]!.firstTokenMs - 2000).toBeCloseTo(4 + (4 * (4 + 2)) / 50 + 10, 9);
});

test("two requests of one prefix share it while it is being computed", () => {
  const bench = new Bench([prompt(1, 16, 4), prompt(1, 16, 4)]);
  bench.submit(0);
  bench.submit(1, 1);
  bench.run();
  expect(bench.done.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 12]);
});

test("a prefix is forgotten once its blocks are needed for others", () => {
  const prompts = [prompt(1, 16), prompt(2, 16), prompt(1, 16), prompt(3, 24), prompt(1, 16)];
  const bench = new Bench(prompts, { kvBlocks: 8 });
  for (const i of prompts.keys()) bench.submit(i, 1000 * i);
  bench.run();
  expect(bench.done.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 0, 12, 0, 8]);
});

test("gauges change when a step ends, as the metrics page of an engine does", () => {
  const bench = new Bench([prompt(1, 8, 2), prompt(2, 8, 2)], { maxSequences: 1, kvBlocks: 10 });
  bench.submit(0);
  bench.submit(1, 1);
  const seen: unknown[] = [];
  for (const atMs of [0, 5, 20, 40, 60]) bench.time.at(atMs, () => seen.push(bench.engine.gauges));
  bench.run();
  expect(seen).toEqual([
    { running: 0, waiting: 0, kvUsage: 0 },
    { running: 0, waiting: 0, kvUsage: 0 },
    { running: 1, waiting: 0, kvUsage: expect.closeTo(0.2, 9) },
    { running: 0, waiting: 1, kvUsage: 0 },
    { running: 1, waiting: 0, kvUsage: expect.closeTo(0.2, 9) },
  ]);
});

test("progress is told at the first token, every 64 tokens, and at the last one", () => {
  const bench = new Bench([prompt(1, 4, 130)]);
  bench.submit(0);
  bench.run();
  expect(bench.log.map((line) => line.split(":")[1])).toEqual(["1", "65", "129", "130"]);
});

test("more requests than a call takes arguments may come during one step", () => {
  const one = prompt(1, 4);
  const bench = new Bench(Array.from({ length: 150_000 }, () => one));
  for (const index of bench.requests.keys()) bench.submit(index);
  while (bench.done.length < 3) bench.time.step();
  expect(bench.done.map(({ request }) => request.index)).toEqual(bench.done.map((_, index) => index));
  expect(bench.engine.present + bench.done.length).toBe(150_000);
});

test("half the speed takes twice the time", () => {
  const [full, half] = [undefined, { speed: 0.5 }].map((trouble) => {
    const bench = new Bench([prompt(1, 30, 5)], {}, trouble);
    bench.submit(0);
    bench.run();
    return bench.done[0]!;
  });
  expect(half!.firstTokenMs).toBeCloseTo(2 * full!.firstTokenMs, 9);
  expect(half!.finishedMs).toBeCloseTo(2 * full!.finishedMs, 9);
});

test("a stall delays what is under way by its length, and one that has passed delays nothing", () => {
  const stalls = [{ atMs: 15, forMs: 1000 }];
  const bench = new Bench([prompt(1, 10, 3), prompt(2, 10)], {}, { stalls });
  bench.submit(0);
  bench.submit(1, 5000);
  bench.run();
  expect(bench.done[0]!.firstTokenMs).toBeCloseTo(1021, 9);
  expect(bench.done[1]!.firstTokenMs).toBeCloseTo(5021, 9);
  expect(bench.engine.busyMs).toBeCloseTo(21 + 26.3 + 21, 9);
});

test("a request longer than the cache fits nowhere; one that fills it does", () => {
  const bench = new Bench([prompt(1, 396, 5), prompt(1, 396, 6)]);
  expect(bench.requests.map((request) => bench.engine.fits(request))).toEqual([true, false]);
});

test("all blocks are free again once all requests are served", () => {
  const bench = new Bench(
    Array.from({ length: 30 }, (_, i) => prompt(i % 7, 5 + ((i * 13) % 60), 1 + ((i * 7) % 40))),
    { kvBlocks: 30 },
  );
  for (let i = 0; i < 30; i++) bench.submit(i, i * 3);
  bench.run();
  expect(bench.done).toHaveLength(30);
  expect([bench.engine.unclaimedBlocks, bench.engine.cache.free, bench.engine.present]).toEqual([30, 30, 0]);
});
