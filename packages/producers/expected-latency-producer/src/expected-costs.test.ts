import fc from "fast-check";
import { expect, test } from "vitest";
import { EndpointSpeed } from "./endpoint-speed.ts";
import { EndpointWork } from "./endpoint-work.ts";
import { type CacheRoom, type ExpectedCosts, estimateCosts } from "./expected-costs.ts";
import { PoolModel } from "./pool-model.ts";

interface Situation {
  readonly promptTokens: number;
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
  cachedTokens: 0,
  outputTokens: 100,
  sparedTokens: 0,
  queued: [],
  decoding: [],
  room: undefined,
  reuse: 0,
};

const zero = (): ExpectedCosts => ({
  ttftMs: 0,
  queueMs: 0,
  memoryMs: 0,
  prefillMs: 0,
  sparedMs: 0,
  decodeMs: 0,
  harmMs: 0,
  evictMs: 0,
});

/** Costs by the assumed relations: 15 ms, 0.03 ms per token, 1 ms per million pairs; steps of 10 ms, 0.05 per 1000 tokens. */
function costs(fields: Partial<Situation>): ExpectedCosts {
  const { queued, decoding, room, reuse, ...asked } = { ...idle, ...fields };
  const model = new PoolModel();
  model.learnReuse(reuse * 1000, 1000);
  const work = new EndpointWork(model);
  const send = (tokens: number) =>
    work.send({
      ...{ promptTokens: tokens, cachedTokens: 0, ttftMs: 0, sentAtMs: 0, streams: true },
      prefillMs: model.prefillMs(tokens, 0),
    });
  // All first tokens at one moment: nothing is learned from them.
  for (const tokens of decoding) work.firstToken(send(tokens), 0);
  for (const tokens of queued) send(tokens);
  const out = zero();
  estimateCosts(model, work, { ...asked, overlap: model.overlap(asked.outputTokens) }, room, 0, out);
  return out;
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

const alone = { ...idle, overlap: new PoolModel().overlap(idle.outputTokens) };

/** An endpoint with nothing on it, now and usually. */
const lone = {
  ...{ present: 0, contextTokens: 0, pendingTokens: 0, usualPresent: 0, usualContextTokens: 0, stretch: 1 },
  backlogMs: () => 0,
};

/** Costs by the assumed relations on an endpoint that is as its record says. */
function costsOn(record: Partial<typeof lone>): ExpectedCosts {
  const out = zero();
  estimateCosts(new PoolModel(), { ...lone, speed: new EndpointSpeed(() => {}), ...record }, alone, undefined, 0, out);
  return out;
}

test("as many come as usually are there: they lengthen the steps, and are delayed, for the rest of the answer", () => {
  const later = Math.exp(-2);
  const added = (0.05 * 1050) / 1000;
  const { decodeMs, harmMs, ttftMs } = costsOn({ usualPresent: 5, usualContextTokens: 40_000 });
  expect(decodeMs).toBeCloseTo(99 * (10 + 0.05 * 40 * later + added), 9);
  expect(harmMs).toBeCloseTo(5 * later * added * 100, 9);
  expect(ttftMs).toBe(costsOn({}).ttftMs);
});

test("where prompts take half of the time, an answer takes twice as long", () => {
  expect(costsOn({ stretch: 2 }).decodeMs).toBeCloseTo(2 * costsOn({}).decodeMs, 9);
  expect(costsOn({ stretch: 2 }).ttftMs).toBe(costsOn({}).ttftMs);
});

test("an endpoint at half the speed takes twice as long for everything", () => {
  const of = (slowness: number): ExpectedCosts => {
    const out = zero();
    const there = { ...lone, present: 3, contextTokens: 9000, pendingTokens: 2000 };
    const speed = new EndpointSpeed(() => {});
    [speed.prefill, speed.step] = [slowness, slowness];
    const work = { ...there, speed, backlogMs: () => 60 * slowness };
    estimateCosts(new PoolModel(), work, alone, { capacityTokens: 10_000, usedTokens: 9000 }, 0, out);
    return out;
  };
  const [one, two] = [of(1), of(2)];
  for (const part of parts) expect(two[part], part).toBeCloseTo(2 * one[part], 9);
});

test("an endpoint that is slow at prompts alone computes them slowly and decodes as fast as others", () => {
  const of = (prefill: number): ExpectedCosts => {
    const speed = new EndpointSpeed(() => {});
    speed.prefill = prefill;
    const out = zero();
    const work = { ...lone, contextTokens: 9000, speed };
    estimateCosts(new PoolModel(), work, alone, undefined, 0, out);
    return out;
  };
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

const tokens = fc.integer({ min: 0, max: 60_000 });
const situation: fc.Arbitrary<Situation> = fc
  .record({
    promptTokens: fc.integer({ min: 1, max: 60_000 }),
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
