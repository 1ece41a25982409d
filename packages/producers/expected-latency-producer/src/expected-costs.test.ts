import fc from "fast-check";
import { expect, test } from "vitest";
import { EndpointWork } from "./endpoint-work.ts";
import { estimateCosts } from "./expected-costs.ts";
import { ExpectedTables } from "./expected-tables.ts";
import { PoolModel } from "./pool-model.ts";
import { WorkTable } from "./work-table.ts";

interface CacheRoom {
  readonly capacityTokens: number;
  readonly usedTokens: number;
}

type Costs = Record<Exclude<keyof ExpectedTables, "usualEndToEndRatio">, number>;

interface Situation {
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly sparedTokens: number;
  /** Uncached tokens of each prompt that waits. */
  readonly queued: readonly number[];
  /** Context of each request that decodes. */
  readonly decoding: readonly number[];
  readonly room: CacheRoom | undefined;
  readonly reuse: number;
}

const idle: Situation = {
  promptTokens: 1000,
  newTokens: 0,
  cachedTokens: 0,
  outputTokens: 100,
  sparedTokens: 0,
  queued: [],
  decoding: [],
  room: undefined,
  reuse: 0,
};

type Asked = Pick<Situation, "promptTokens" | "newTokens" | "cachedTokens" | "outputTokens" | "sparedTokens" | "room">;

/** Costs on the endpoint of one row. */
function costsOnRow(model: PoolModel, table: WorkTable, row: number, asked: Asked, nowMs: number = 0): Costs {
  const { cachedTokens, sparedTokens, room } = asked;
  const candidates = {
    table,
    rows: Uint32Array.of(row),
    slots: Uint32Array.of(1),
    slotTableLength: 2,
    cachedTokens: Float64Array.of(cachedTokens),
    sparedTokens: Float64Array.of(sparedTokens),
    capacityTokens: Float64Array.of(room?.capacityTokens ?? Number.POSITIVE_INFINITY),
    usedTokens: Float64Array.of(room?.usedTokens ?? 0),
  };
  const out = new ExpectedTables(2, 1, Number.NaN);
  estimateCosts(model, candidates, asked, nowMs, out);
  const { ttftMs, queueMs, memoryMs, prefillMs, sparedMs, decodeMs, harmMs, evictMs } = out;
  expect(ttftMs[0]).toBeNaN();
  return {
    ttftMs: ttftMs[1]!,
    queueMs: queueMs[1]!,
    memoryMs: memoryMs[1]!,
    prefillMs: prefillMs[1]!,
    sparedMs: sparedMs[1]!,
    decodeMs: decodeMs[1]!,
    harmMs: harmMs[1]!,
    evictMs: evictMs[1]!,
  };
}

/** Costs by the assumed relations: 15 ms, 0.03 ms per token, 1 ms per million pairs; steps of 10 ms, 0.05 per 1000 tokens. */
function costs(fields: Partial<Situation>): Costs {
  const { queued, decoding, reuse, ...asked } = { ...idle, ...fields };
  const model = new PoolModel();
  model.learnReuse(reuse * 1000, 1000);
  const work = new EndpointWork(model);
  const send = (tokens: number) =>
    work.send({
      ...{ promptTokens: tokens, cachedTokens: 0, newTokens: 0, ttftMs: 0, sentAtMs: 0, streams: true },
      prefillMs: model.prefillMs(tokens, 0),
    });
  // All first tokens at one moment: nothing is learned from them.
  for (const tokens of decoding) work.firstToken(send(tokens), 0);
  for (const tokens of queued) send(tokens);
  return costsOnRow(model, work.table, work.row, asked);
}

test("on an idle endpoint, a request costs its own prompt and its own steps", () => {
  const { ttftMs, queueMs, memoryMs, prefillMs, decodeMs, harmMs, evictMs } = costs({});
  expect(prefillMs).toBeCloseTo(30 + 0.5, 9);
  expect(ttftMs).toBeCloseTo(15 + 30.5, 9);
  // 99 steps with a context of the prompt and half the answer.
  expect(decodeMs).toBeCloseTo(99 * (10 + (0.05 * 1050) / 1000), 9);
  expect([queueMs, memoryMs, harmMs, evictMs]).toEqual([0, 0, 0, 0]);
});

test("what is cached is not computed, and attended to all the same", () => {
  expect(costs({ cachedTokens: 800 }).prefillMs).toBeCloseTo(0.03 * 200 + (200 * 900) / 1e6, 9);
});

test("prompts before it are waited for, answers beside it lengthen its steps, and it delays all of them", () => {
  const { ttftMs, queueMs, decodeMs, harmMs } = costs({ queued: [2000, 1000], decoding: [4000, 6000] });
  const queue = 60 + 2 + 30 + 0.5;
  expect(queueMs).toBeCloseTo(queue, 9);
  // Answers of 200 tokens are expected, so those there have 100 each.
  const context = 10_000 + 2 * 100;
  expect(ttftMs).toBeCloseTo(queue + 15 + (0.075 * context) / 1000 + 30.5, 9);
  const added = (0.05 * 1050) / 1000;
  // As many tokens are left to each of them, on average, as an answer has: it is there for 1 - 1/e² of the 100 steps.
  const there = 1 - Math.exp(-2);
  expect(decodeMs).toBeCloseTo(99 * (10 + (0.05 * context * there) / 1000 + added), 9);
  // Of who usually is there, nothing is known yet.
  expect(harmMs).toBeCloseTo(4 * (30.5 + added * 100 * there), 9);
});

test("where prompt and answer do not fit, it waits for the share of the cache that must be given back", () => {
  const room = { capacityTokens: 10_000, usedTokens: 9500 };
  const { memoryMs, ttftMs, prefillMs } = costs({ room });
  // 1100 tokens wanted, 600 lacking, given back within 100 steps of 10 ms.
  expect(memoryMs).toBeCloseTo((600 / 9500) * 100 * 10, 9);
  expect(ttftMs).toBeCloseTo(memoryMs + prefillMs, 9);
  expect(costs({ room: { capacityTokens: 10_000, usedTokens: 8900 } }).memoryMs).toBe(0);
});

test("computing displaces as much, of which what is usually found again costs once more", () => {
  expect(costs({ reuse: 0.4 }).evictMs).toBeCloseTo(0.4 * 30.5, 9);
});

/** Costs by the assumed relations on an endpoint that is as its row says. */
function costsOn(record: Readonly<Record<string, number>>, asked: Partial<Asked> = {}): Costs {
  const table = new WorkTable();
  const row = table.add();
  for (const [column, value] of Object.entries(record)) {
    const numbers: unknown = Reflect.get(table, column);
    if (!(numbers instanceof Float64Array)) throw new Error(`no column ${column}`);
    numbers[row] = value;
  }
  return costsOnRow(new PoolModel(), table, row, { ...idle, ...asked });
}

test("as many come as usually are there: they lengthen the steps, and are delayed, for the rest of the answer", () => {
  const later = Math.exp(-2);
  const added = (0.05 * 1050) / 1000;
  const { decodeMs, harmMs, ttftMs } = costsOn({ usualPresent: 5, usualContextTokens: 40_000 });
  expect(decodeMs).toBeCloseTo(99 * (10 + 0.05 * 40 * later + added), 9);
  expect(harmMs).toBeCloseTo(5 * later * added * 100, 9);
  expect(ttftMs).toBe(costsOn({}).ttftMs);
});

test("where prompts take half of the time, an answer takes twice as long, and so does what holds answers up", () => {
  expect(costsOn({ stretch: 2 }).decodeMs).toBeCloseTo(2 * costsOn({}).decodeMs, 9);
  expect(costsOn({ stretch: 2 }).ttftMs).toBe(costsOn({}).ttftMs);
  const there = { decoding: 3, promptTokens: 9000, usualPresent: 3 };
  expect(costsOn({ ...there, stretch: 2 }).harmMs).toBeCloseTo(2 * costsOn(there).harmMs, 9);
  expect(costsOn({ ...there, stretch: 2 }).evictMs).toBe(costsOn(there).evictMs);
});

test("an endpoint at half the speed takes twice as long for everything", () => {
  const of = (slowness: number): Costs =>
    costsOn(
      {
        ...{ queued: 1, queuedMs: 60, queuedTokens: 2000, decoding: 2, promptTokens: 8800 },
        ...{ prefillFactor: slowness, stepFactor: slowness },
      },
      { room: { capacityTokens: 10_000, usedTokens: 9000 } },
    );
  const [one, two] = [of(1), of(2)];
  expect(one.memoryMs).toBeGreaterThan(0);
  for (const part of parts) expect(two[part], part).toBeCloseTo(2 * one[part], 9);
});

test("an endpoint that is slow at prompts alone computes them slowly and decodes as fast as others", () => {
  const of = (prefillFactor: number): Costs => costsOn({ promptTokens: 9000, prefillFactor });
  expect(of(3).prefillMs).toBeCloseTo(3 * of(1).prefillMs, 9);
  expect(of(3).decodeMs).toBe(of(1).decodeMs);
});

test("what later requests find is theirs: it neither harms those there nor displaces, as far as it is spared", () => {
  const there = { decoding: [4000], reuse: 0.5 };
  const [all, half] = [costs(there), costs({ ...there, sparedTokens: 500 })];
  expect(all.sparedMs).toBe(0);
  expect(half.sparedMs).toBeCloseTo(all.prefillMs / 2, 9);
  expect(half.harmMs).toBeCloseTo(all.harmMs - all.prefillMs / 2, 9);
  expect(half.evictMs).toBeCloseTo(all.evictMs / 2, 9);
  expect([half.ttftMs, half.prefillMs]).toEqual([all.ttftMs, all.prefillMs]);
});

test("what is new in a prompt brings others later, who are delayed where much was new before", () => {
  const model = new PoolModel();
  model.learnReuse(750, 1000);
  model.learnPrompt(1000, 30);
  const table = new WorkTable();
  const rows = Uint32Array.of(table.add(), table.add());
  table.newTokens.set([7000, 1000]);
  table.usualContextTokens.set([30_000, 10_000]);
  const harm = (newTokens: number): number[] => {
    const out = new ExpectedTables(2, 2, Number.NaN);
    const none = new Float64Array(2);
    const candidates = {
      ...{ table, rows, slots: Uint32Array.of(0, 1), slotTableLength: 2, cachedTokens: none, sparedTokens: none },
      ...{ capacityTokens: Float64Array.of(Infinity, Infinity), usedTokens: none },
    };
    estimateCosts(model, candidates, { promptTokens: 2000, newTokens, outputTokens: 100 }, 0, out);
    return [...out.harmMs];
  };
  expect(harm(0)).toEqual([0, 0]);
  // Three come for each prompt, three quarters of the load follow what is cached; half of this prompt is new. 100 steps with
  // 20,000 tokens beside them; 10,000 new ones in all.
  const mean = 3 * 0.75 * 0.5 * 100 * 0.05 * 20;
  const [much, little] = harm(1000);
  expect(much).toBeCloseTo(mean * 1.6, 9);
  expect(little).toBeCloseTo(mean * 0.4, 9);
});

const tokens = fc.integer({ min: 0, max: 60_000 });
const situation: fc.Arbitrary<Situation> = fc
  .record({
    promptTokens: fc.integer({ min: 1, max: 60_000 }),
    newTokens: fc.constant(0),
    cachedShare: fc.double({ min: 0, max: 0.9, noNaN: true }),
    outputTokens: fc.integer({ min: 1, max: 4000 }),
    sparedTokens: fc.constant(0),
    queued: fc.array(tokens, { maxLength: 5 }),
    decoding: fc.array(tokens, { maxLength: 5 }),
    // Room for all that is asked for at once, as it is where a request is let in at all.
    usage: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
    reuse: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ cachedShare, usage, ...rest }) => ({
    ...rest,
    cachedTokens: rest.promptTokens * cachedShare,
    room: usage === undefined ? undefined : { capacityTokens: 1e6, usedTokens: usage * 1e6 },
  }));

const parts = ["ttftMs", "queueMs", "memoryMs", "prefillMs", "decodeMs", "harmMs", "evictMs"] as const;

/** No part gets smaller by a change. */
function neverCheaper(change: (from: Situation, by: number) => Partial<Situation>): void {
  fc.assert(
    fc.property(situation, fc.integer({ min: 1, max: 50_000 }), (from, by) => {
      const [before, after] = [costs(from), costs({ ...from, ...change(from, by) })];
      for (const part of parts) {
        expect(before[part], part).toBeGreaterThanOrEqual(0);
        expect(after[part], part).toBeGreaterThanOrEqual(before[part] * (1 - 1e-12));
      }
    }),
  );
}

test("a longer prompt is never cheaper", () => {
  neverCheaper(({ promptTokens }, by) => ({ promptTokens: promptTokens + by }));
});

test("a prompt of which less is cached is never cheaper", () => {
  neverCheaper(({ cachedTokens }, by) => ({ cachedTokens: Math.max(0, cachedTokens - by) }));
});

test("a longer answer is never cheaper", () => {
  neverCheaper(({ outputTokens }, by) => ({ outputTokens: outputTokens + (by % 4000) }));
});

test("one more prompt in the queue is never cheaper", () => {
  neverCheaper(({ queued }, by) => ({ queued: [...queued, by] }));
});

test("one more answer in the making is never cheaper", () => {
  neverCheaper(({ decoding }, by) => ({ decoding: [...decoding, by] }));
});

test("a fuller cache is never cheaper", () => {
  neverCheaper(({ room }, by) => ({
    room: room === undefined ? room : { ...room, usedTokens: Math.min(1e6, room.usedTokens + by * 20) },
  }));
});

test("more of what prompts share is never cheaper to displace", () => {
  neverCheaper(({ reuse }, by) => ({ reuse: Math.min(1, reuse + by / 50_000) }));
});

const count = fc.integer({ min: 0, max: 20 });
const amount = fc.double({ min: 0, max: 1e5, noNaN: true });
const factor = fc.double({ min: 0.1, max: 10, noNaN: true });

test("all candidates at once cost what the relations say for each", () => {
  const row = fc.record({
    ...{ queued: count, queuedMs: amount, queuedTokens: amount, headSinceMs: amount, decoding: count },
    ...{ promptTokens: amount, foreign: count, waitingShare: fc.double({ min: 0, max: 1, noNaN: true }) },
    ...{
      newTokens: amount,
      usualPresent: amount,
      usualContextTokens: amount,
      stretch: factor,
      prefillFactor: factor,
      stepFactor: factor,
    },
  });
  const candidate = fc.record({ row, cached: fc.nat(4999), spared: amount, used: amount, capacity: amount });
  fc.assert(
    fc.property(fc.array(candidate, { minLength: 1, maxLength: 12 }), fc.nat(100_000), (given, nowMs) => {
      const model = new PoolModel();
      model.learnReuse(300, 1000);
      model.learnPrompt(2500, 80);
      const table = new WorkTable();
      const rows = given.map(() => table.add()).reverse();
      for (const [i, { row: numbers }] of given.entries()) {
        const { waitingShare, ...columns } = numbers;
        for (const column of Object.keys(columns) as (keyof typeof columns)[])
          table[column][rows[i]!] = columns[column];
        table.foreignWaiting[rows[i]!] = numbers.foreign * waitingShare;
      }
      const [promptTokens, newTokens, outputTokens] = [5000, 4000, 150];
      const meanOf = (pick: (row: (typeof given)[number]["row"]) => number): number =>
        given.reduce((sum, { row: numbers }) => sum + pick(numbers), 0) / given.length;
      const usualSteps =
        outputTokens * (model.stepMs(meanOf(({ usualContextTokens }) => usualContextTokens)) - model.stepMs(0));
      const usualNewTokens = meanOf((numbers) => numbers.newTokens + model.meanPromptTokens);
      const of = (pick: (of: (typeof given)[number]) => number): Float64Array => Float64Array.from(given, pick);
      const out = new ExpectedTables(given.length, given.length, Number.NaN);
      estimateCosts(
        model,
        {
          ...{ table, rows: Uint32Array.from(rows), slots: Uint32Array.from(given.keys()) },
          slotTableLength: given.length,
          ...{ cachedTokens: of(({ cached }) => cached), sparedTokens: of(({ spared }) => spared) },
          ...{ capacityTokens: of(({ capacity }) => capacity), usedTokens: of(({ used }) => used) },
        },
        { promptTokens, newTokens, outputTokens },
        nowMs,
        out,
      );
      for (const [i, { row: numbers, cached, spared, used, capacity }] of given.entries()) {
        const at = rows[i]!;
        const uncached = promptTokens - cached;
        const overlap = model.overlap(outputTokens);
        const prefill = model.prefillMs(uncached, cached) * numbers.prefillFactor;
        const context = table.contextTokens(at, model);
        const steps = context * overlap + numbers.usualContextTokens * (1 - overlap);
        const step = model.stepMs(steps) * numbers.stepFactor;
        const added = (model.stepMs(promptTokens + outputTokens / 2) - model.stepMs(0)) * numbers.stepFactor;
        const present = table.present(at);
        const wanted = table.pendingTokens(at, model) + (present * outputTokens) / 2 + uncached + outputTokens;
        const memory = (Math.max(0, used + wanted - capacity) / Math.max(1, used)) * outputTokens * step;
        const queue = table.backlogMs(at, model, nowMs);
        const sparedMs = prefill * Math.min(1, spared / uncached);
        const crowd = present * overlap + numbers.usualPresent * (1 - overlap);
        const expected: Costs = {
          ttftMs: Math.max(queue + model.sharedMs(context) * numbers.stepFactor, memory) + prefill,
          queueMs: queue,
          memoryMs: memory,
          prefillMs: prefill,
          sparedMs,
          decodeMs: (outputTokens - 1) * (step + added) * numbers.stretch,
          harmMs:
            (present * (prefill - sparedMs) + crowd * added * outputTokens) * numbers.stretch +
            model.followers *
              0.8 *
              model.reuse *
              usualSteps *
              ((numbers.newTokens + model.meanPromptTokens) / usualNewTokens),
          evictMs: (prefill - sparedMs) * model.reuse,
        };
        for (const part of Object.keys(expected) as (keyof Costs)[]) {
          const distance = Math.abs(out[part][i]! - expected[part]);
          expect(distance, part).toBeLessThanOrEqual(1e-9 * Math.max(1, expected[part]));
        }
      }
    }),
  );
});
