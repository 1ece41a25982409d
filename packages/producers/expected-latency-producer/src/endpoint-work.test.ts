import { seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Dispatch, type DispatchPlan, EndpointWork } from "./endpoint-work.ts";
import { attentionPairs, PoolModel } from "./pool-model.ts";

/** A model that notes what it is taught instead of learning it, so that times stay the assumed ones. */
class NotedModel extends PoolModel {
  readonly prefills: {
    readonly tokens: number;
    readonly pairs: number;
    readonly contextTokens: number;
    readonly ms: number;
  }[] = [];
  readonly steps: { readonly contextTokens: number; readonly ms: number }[] = [];

  override learnPrefill(tokens: number, pairs: number, contextTokens: number, ms: number): void {
    this.prefills.push({ tokens, pairs, contextTokens, ms });
  }

  override learnStep(contextTokens: number, ms: number): void {
    this.steps.push({ contextTokens, ms });
  }
}

const plan = (fields: Partial<DispatchPlan> = {}): DispatchPlan => ({
  promptTokens: 1000,
  cachedTokens: 0,
  newTokens: 0,
  prefillMs: 100,
  ttftMs: 115,
  sentAtMs: 0,
  streams: true,
  ...fields,
});

/** Tokens that an answer in the making is expected to have, before the first one. */
const halfAnswer = 100;

const newWork = (): EndpointWork => new EndpointWork(new NotedModel());

test("what was sent waits in order; a first token shortens the queue, an end leaves", () => {
  const work = newWork();
  expect([work.backlogMs(0), work.present, work.pendingTokens, work.contextTokens]).toEqual([0, 0, 0, 0]);
  const first = work.send(plan({ cachedTokens: 200 }));
  const second = work.send(plan({ sentAtMs: 10 }));
  expect([work.present, work.decoding, work.pendingTokens, work.contextTokens]).toEqual([2, 0, 1800, 0]);
  expect(work.backlogMs(10)).toBe(190);
  expect(work.backlogMs(50)).toBe(150);
  work.firstToken(first, 90);
  expect([work.present, work.decoding, work.pendingTokens, work.contextTokens]).toEqual([
    2,
    1,
    1000,
    1000 + halfAnswer,
  ]);
  expect(work.backlogMs(100)).toBe(90);
  work.end(first, 50, 500);
  work.end(second, undefined, 500);
  expect([work.present, work.decoding, work.pendingTokens, work.contextTokens]).toEqual([0, 0, 0, 0]);
  expect(work.backlogMs(500)).toBe(0);
});

test("the end of a request is counted once, and a first token after it not at all", () => {
  const work = newWork();
  const dispatch = work.send(plan());
  work.send(plan());
  work.end(dispatch, undefined, 5);
  work.end(dispatch, undefined, 6);
  work.firstToken(dispatch, 7);
  expect([work.present, work.decoding, work.pendingTokens]).toEqual([1, 0, 1000]);
});

test("who leaves the queue from behind the head does not make the head look like begun anew", () => {
  const work = newWork();
  work.send(plan());
  const second = work.send(plan({ sentAtMs: 10 }));
  work.end(second, undefined, 60);
  expect(work.backlogMs(60)).toBe(40);
});

test("when the head leaves, the next one can begin", () => {
  const work = newWork();
  const head = work.send(plan());
  work.send(plan({ sentAtMs: 10 }));
  work.end(head, undefined, 60);
  expect(work.backlogMs(60)).toBe(100);
});

test("what is late is expected to take as long again: a stalled endpoint looks worse each moment", () => {
  const work = newWork();
  work.send(plan());
  expect([100, 150, 600, 10_100].map((nowMs) => work.backlogMs(nowMs))).toEqual([0, 50, 500, 10_000]);
});

test("accounts stay exact under any order of sends, first tokens and ends", () => {
  const commands = fc.array(
    fc.record({
      kind: fc.constantFrom("send", "send", "first", "end"),
      which: fc.nat(30),
      waitMs: fc.integer({ min: 0, max: 400 }),
      promptTokens: fc.integer({ min: 0, max: 50_000 }),
      cachedShare: fc.integer({ min: 0, max: 4 }),
      outputTokens: fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined }),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(commands, (all) => {
      const model = new PoolModel();
      const work = new EndpointWork(model);
      const flights: { dispatch: Dispatch; state: "pending" | "decoding" | "over" }[] = [];
      let headSinceMs = 0;
      let nowMs = 0;
      for (const { kind, which, waitMs, promptTokens, cachedShare, outputTokens } of all) {
        nowMs += waitMs;
        const pending = flights.filter(({ state }) => state === "pending");
        if (kind === "send") {
          const cachedTokens = (promptTokens * cachedShare) / 5;
          const prefillMs = model.prefillMs(promptTokens - cachedTokens, cachedTokens);
          if (pending.length === 0) headSinceMs = nowMs;
          const dispatch = work.send(plan({ promptTokens, cachedTokens, prefillMs, sentAtMs: nowMs }));
          flights.push({ dispatch, state: "pending" });
        } else if (flights.length > 0) {
          const flight = flights[which % flights.length]!;
          if (kind === "first") {
            work.firstToken(flight.dispatch, nowMs);
            if (flight.state === "pending") {
              flight.state = "decoding";
              headSinceMs = nowMs;
            }
          } else {
            work.end(flight.dispatch, outputTokens, nowMs);
            if (pending[0] === flight) headSinceMs = nowMs;
            flight.state = "over";
          }
        }
        const left = flights.filter(({ state }) => state === "pending").map(({ dispatch }) => dispatch);
        const decoding = flights.filter(({ state }) => state === "decoding").map(({ dispatch }) => dispatch);
        const sum = (of: readonly Dispatch[], value: (each: Dispatch) => number): number =>
          of.reduce((total, each) => total + value(each), 0);
        expect(work.present).toBe(left.length + decoding.length);
        expect(work.decoding).toBe(decoding.length);
        expect(work.contextTokens).toBeCloseTo(
          sum(decoding, (each) => each.plan.promptTokens + model.halfAnswerTokens),
          4,
        );
        expect(work.pendingTokens).toBeCloseTo(
          sum(left, (each) => each.uncachedTokens),
          4,
        );
        const queuedMs = sum(left, (each) => each.plan.prefillMs) * work.speed.prefill;
        const expectedMs = left.length === 0 ? 0 : Math.abs(queuedMs - (nowMs - headSinceMs));
        expect(work.backlogMs(nowMs)).toBeCloseTo(expectedMs, 4);
      }
      for (const value of Object.values(model.dump())) expect(value).toBeLessThan(Infinity);
    }),
  );
});

test("a first token sooner after another than its prompt can be computed was computed with it, and seen late", () => {
  const model = new NotedModel();
  const work = new EndpointWork(model);
  const [a, b, c, d] = [
    work.send(plan({ promptTokens: 1000, cachedTokens: 400 })),
    work.send(plan({ promptTokens: 500, sentAtMs: 5 })),
    work.send(plan({ promptTokens: 300, sentAtMs: 10 })),
    work.send(plan({ promptTokens: 100, sentAtMs: 20 })),
  ];
  work.firstToken(a!, 130);
  // 500 tokens take 30 ms at least.
  work.firstToken(b!, 142);
  expect(model.prefills).toEqual([]);
  work.firstToken(c!, 200);
  const pairs = attentionPairs(600, 400) + attentionPairs(500, 0);
  expect(model.prefills).toEqual([{ tokens: 1100, pairs, contextTokens: 0, ms: 130 }]);
  work.firstToken(d!, 220);
  expect(model.prefills[1]).toMatchObject({ tokens: 300, pairs: attentionPairs(300, 0), contextTokens: 1500 + 200 });
  expect(model.prefills[1]!.ms).toBeCloseTo(200 - 142, 9);
});

test("an endpoint whose prompts wait for the long steps of many answers is busy and not slow", () => {
  const model = new PoolModel();
  const [idle, busy] = [new EndpointWork(model), new EndpointWork(model)];
  const random = seededRandom(8);
  const steps = 40;
  for (let i = 0; i < 20; i++) busy.firstToken(busy.send(plan({ promptTokens: 15_000 })), 0);
  let nowMs = 0;
  for (let i = 0; i < 400; i++) {
    nowMs += 1000;
    for (const work of [idle, busy]) {
      const dispatch = work.send(plan({ promptTokens: 500, prefillMs: model.prefillMs(500, 0), sentAtMs: nowMs }));
      const ms = 20 + 15 + (work === busy ? 30 : 0) + 4 * random();
      work.firstToken(dispatch, nowMs + ms);
      work.end(dispatch, steps, nowMs + ms + (steps - 1) * (work === busy ? 27 : 10));
    }
  }
  expect(model.sharedMs(300_000) - model.sharedMs(0)).toBeGreaterThan(20);
  for (const { speed } of [idle, busy]) {
    expect(speed.prefill).toBeGreaterThan(0.93);
    expect(speed.prefill).toBeLessThan(1.07);
    expect(speed.step).toBeGreaterThan(0.93);
    expect(speed.step).toBeLessThan(1.07);
  }
});

test("one step in ten seen 80 ms late moves no endpoint's factors by a tenth, and the relations stay those of the pool", () => {
  const model = new PoolModel();
  const works = Array.from({ length: 4 }, () => new EndpointWork(model));
  const random = seededRandom(21);
  let nowMs = 0;
  for (let i = 0; i < 600; i++) {
    for (const work of works) {
      const prefillMs = model.prefillMs(500, 12_000);
      const fields = { promptTokens: 12_500, cachedTokens: 12_000, prefillMs, sentAtMs: nowMs };
      const dispatch = work.send(plan(fields));
      const late = (): number => -12 * Math.log(1 - random()) + (random() < 0.1 ? -80 * Math.log(1 - random()) : 0);
      const firstMs = nowMs + 60 + late();
      work.firstToken(dispatch, firstMs);
      nowMs += 300;
      work.end(dispatch, 500, nowMs + 499 * 20 + late());
      if (i < 100) continue;
      expect(Math.abs(Math.log(work.speed.prefill))).toBeLessThan(0.25);
      expect(Math.abs(Math.log(work.speed.step))).toBeLessThan(0.1);
    }
  }
  const ms = model.sharedMs(100) + model.prefillMs(500, 12_000);
  expect(ms).toBeGreaterThan(55);
  expect(ms).toBeLessThan(95);
});

test("a prompt that was sent to an idle endpoint is measured from its own start", () => {
  const model = new NotedModel();
  const work = new EndpointWork(model);
  work.firstToken(work.send(plan()), 100);
  work.firstToken(work.send(plan({ sentAtMs: 5000 })), 5090);
  work.firstToken(work.send(plan({ sentAtMs: 9000 })), 9100);
  expect(model.prefills.map(({ ms }) => ms)[0]).toBe(100);
  expect(model.prefills[1]!.ms * work.speed.prefill).toBeGreaterThan(80);
  expect(model.prefills[1]!.ms * work.speed.prefill).toBeLessThan(200);
});

test("a prompt whose first token nobody sees counts as computed when it should be", () => {
  const work = newWork();
  const whole = work.send(plan({ streams: false }));
  work.send(plan({ streams: false, sentAtMs: 20 }));
  expect(work.backlogMs(50)).toBe(150);
  expect([work.present, work.decoding]).toEqual([2, 0]);
  expect(work.backlogMs(150)).toBe(50);
  expect([work.present, work.decoding, work.contextTokens]).toEqual([2, 1, 1000 + halfAnswer]);
  expect(work.backlogMs(10_000)).toBe(0);
  expect(work.decoding).toBe(2);
  work.end(whole, 100, 10_000);
  expect([work.present, work.decoding]).toEqual([1, 1]);
});

test("a silent prompt behind one that streams waits for it", () => {
  const work = newWork();
  const head = work.send(plan());
  work.send(plan({ streams: false }));
  expect(work.backlogMs(1000)).toBe(800);
  work.firstToken(head, 1000);
  expect(work.backlogMs(1040)).toBe(60);
});

test("answers teach the time of a step, without the prompts computed in between, unless they are short or silent", () => {
  const model = new NotedModel();
  const work = new EndpointWork(model);
  const [long, between, short] = [
    work.send(plan()),
    work.send(plan({ promptTokens: 3000, sentAtMs: 200 })),
    work.send(plan({ sentAtMs: 300 })),
  ];
  work.firstToken(long!, 100);
  work.firstToken(between!, 300);
  work.firstToken(short!, 400);
  const atTheStart = work.speed.step;
  work.end(short!, 7, 900);
  work.end(between!, undefined, 1000);
  expect(model.steps).toEqual([]);
  work.end(long!, 101, 2000);
  const [step] = model.steps;
  expect(model.steps).toHaveLength(1);
  // 1900 ms, of which two prompts of 100 ms each, by an endpoint of nearly usual speed.
  expect(step!.ms * atTheStart).toBeCloseTo(17, 0);
  expect(step!.contextTokens).toBe(1000 + halfAnswer);
});

/**
 * Sends prompts of many lengths one by one to endpoints of which each has its own factor on the true times. Returns when
 * the last one was answered.
 */
function serve(
  works: readonly EndpointWork[],
  model: PoolModel,
  factors: readonly number[],
  rounds: number,
  startMs: number = 0,
): number {
  const random = seededRandom(9);
  let nowMs = startMs;
  for (let round = 0; round < rounds; round++) {
    works.forEach((work, i) => {
      const promptTokens = 200 + Math.floor(random() * 8000);
      const prefillMs = model.prefillMs(promptTokens, 0);
      const dispatch = work.send(plan({ promptTokens, prefillMs, sentAtMs: nowMs }));
      const trueMs = 20 + 0.05 * promptTokens + (2 * attentionPairs(promptTokens, 0)) / 1e6;
      nowMs += trueMs * factors[i]! * (0.95 + 0.1 * random());
      work.firstToken(dispatch, nowMs);
      work.end(dispatch, undefined, nowMs + 50);
      nowMs += 100;
    });
  }
  return nowMs;
}

test("an endpoint at half the speed is known as such after 40 answers of each", () => {
  const model = new PoolModel();
  const works = [1, 1, 1, 2].map(() => new EndpointWork(model));
  serve(works, model, [1, 1, 1, 2], 40);
  const [usual, , other, slow] = works.map(({ speed }) => speed.prefill);
  expect(slow! / usual!).toBeGreaterThan(1.7);
  expect(slow! / usual!).toBeLessThan(2.3);
  expect(other! / usual!).toBeGreaterThan(0.9);
  expect(other! / usual!).toBeLessThan(1.1);
});

test("an endpoint that recovers is known as recovered", () => {
  const model = new PoolModel();
  const works = [new EndpointWork(model), new EndpointWork(model)];
  const endMs = serve(works, model, [1, 3], 60);
  expect(works[1]!.speed.prefill / works[0]!.speed.prefill).toBeGreaterThan(2);
  serve(works, model, [1, 1], 150, endMs);
  expect(works[1]!.speed.prefill / works[0]!.speed.prefill).toBeLessThan(1.15);
});

test("an endpoint that is seen to be slow every ten seconds stays so", () => {
  const model = new NotedModel();
  const work = new EndpointWork(model);
  for (let i = 0; i < 60; i++) {
    work.follow(i * 10_000);
    work.firstToken(work.send(plan({ sentAtMs: i * 10_000 })), i * 10_000 + 300);
  }
  expect(work.speed.prefill).toBeGreaterThan(2);
});

test("what is usual on an endpoint follows what is there over half a minute", () => {
  const work = newWork();
  const dispatches = Array.from({ length: 10 }, () => work.send(plan()));
  for (const dispatch of dispatches) work.firstToken(dispatch, 0);
  for (let nowMs = 0; nowMs <= 3000; nowMs += 100) work.follow(nowMs);
  expect(work.usualPresent).toBeGreaterThan(0.5);
  expect(work.usualPresent).toBeLessThan(1.5);
  for (let nowMs = 3000; nowMs <= 150_000; nowMs += 100) work.follow(nowMs);
  expect(work.usualPresent).toBeGreaterThan(9.8);
  expect(work.usualPresent).toBeLessThanOrEqual(10);
  expect(work.usualContextTokens / work.contextTokens).toBeGreaterThan(0.98);
  for (const dispatch of dispatches) work.end(dispatch, undefined, 150_000);
  for (let nowMs = 150_000; nowMs <= 300_000; nowMs += 100) work.follow(nowMs);
  expect(work.usualPresent).toBeLessThan(0.2);
});

test("what was new stays in mind for ten minutes, less and less", () => {
  const work = newWork();
  work.follow(0);
  work.send(plan({ newTokens: 700 }));
  work.send(plan({ newTokens: 300 }));
  const known = (): number => work.table.newTokens[work.row]!;
  expect(known()).toBe(1000);
  for (let nowMs = 100; nowMs <= 600_000; nowMs += 100) work.follow(nowMs);
  expect(known()).toBeGreaterThan(360);
  expect(known()).toBeLessThan(375);
});

test("an endpoint that computes prompts for half of its time is known to take about twice as long for answers, at most five times", () => {
  const stretched = (everyMs: number): number => {
    const work = newWork();
    for (let nowMs = 0; nowMs <= 600_000; nowMs += everyMs) {
      work.follow(nowMs);
      work.firstToken(work.send(plan({ prefillMs: 30.5, sentAtMs: nowMs })), nowMs + 45.5);
    }
    return work.stretch;
  };
  expect(newWork().stretch).toBe(1);
  expect(stretched(3050)).toBeLessThan(1.05);
  expect(stretched(61)).toBeGreaterThan(1.8);
  expect(stretched(61)).toBeLessThan(2.6);
  expect(stretched(6.1)).toBeCloseTo(5, 9);
});

test("requests of others are what the engine has beyond our own, averaged over seconds", () => {
  const work = newWork();
  work.send(plan());
  for (let nowMs = 0; nowMs <= 20_000; nowMs += 100) work.scraped(4, 1, nowMs);
  expect(work.foreign).toBeCloseTo(4, 1);
  expect(work.present).toBeCloseTo(5, 1);
  // One in five of what is there waits.
  expect(work.decoding).toBeCloseTo(4 * 0.8, 1);
});

test("a count that is late with our own requests makes nobody of others less than nobody", () => {
  const work = newWork();
  for (let i = 0; i < 5; i++) work.send(plan());
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 100) work.scraped(0, 0, nowMs);
  expect([work.foreign, work.present]).toEqual([0, 5]);
});

test("waiting requests of others are a queue of usual prompts", () => {
  const model = new PoolModel();
  for (let i = 0; i < 200; i++) model.learnPrompt(2000, 80);
  const work = new EndpointWork(model);
  for (let nowMs = 0; nowMs <= 30_000; nowMs += 100) work.scraped(0, 3, nowMs);
  expect(work.backlogMs(30_000)).toBeCloseTo(240, 0);
  expect(work.pendingTokens).toBeCloseTo(6000, -2);
  expect(work.contextTokens).toBeCloseTo(0, 0);
});

test.each([
  [Number.NaN, 0],
  [0, Number.NaN],
  [-1, 0],
  [Infinity, 0],
  [1e9, 0],
])("a page that says %d running and %d waiting is passed over", (running, waiting) => {
  const work = newWork();
  for (let nowMs = 0; nowMs < 5000; nowMs += 100) work.scraped(running, waiting, nowMs);
  expect([work.foreign, work.present, work.backlogMs(5000)]).toEqual([0, 0, 0]);
});

test("cached tokens that are not there lower the trust in the rest", () => {
  const work = newWork();
  expect(work.cacheTrust).toBe(1);
  for (let i = 0; i < 60; i++) work.learnCache(1000, 400);
  expect(work.cacheTrust).toBeCloseTo(0.4, 6);
  work.learnCache(0, 0);
  work.learnCache(1000, Number.NaN);
  expect(work.cacheTrust).toBeCloseTo(0.4, 6);
  for (let i = 0; i < 300; i++) work.learnCache(1000, 9999);
  expect(work.cacheTrust).toBeGreaterThan(0.99);
  expect(work.cacheTrust).toBeLessThanOrEqual(1);
});

test("its factors are in the table when something was observed, and follow when that fades", () => {
  const work = newWork();
  const factors = (): unknown => [work.table.prefillFactor[work.row], work.table.stepFactor[work.row]];
  for (let i = 0; i < 50; i++) {
    work.observe(Math.log(3 / work.speed.prefill), 1, 0.05, 0);
    work.observe(Math.log(2 / work.speed.step), 0, 0.05, 0);
  }
  const { prefill, step } = work.speed;
  expect(prefill).toBeGreaterThan(2);
  expect(step).toBeGreaterThan(1.5);
  expect(factors()).toEqual([prefill, step]);
  work.follow(60_000);
  expect(work.speed.prefill).toBeLessThan(prefill);
  expect(work.speed.step).toBeLessThan(step);
  expect(factors()).toEqual([work.speed.prefill, work.speed.step]);
});

test("it has to follow the time every 50 ms, and at each decision while nobody sees the first token of a prompt", () => {
  const work = newWork();
  const due = (): number => work.table.dueMs[work.row]!;
  expect(due()).toBe(Number.NEGATIVE_INFINITY);
  work.follow(1000);
  expect(due()).toBe(1050);
  work.send(plan({ sentAtMs: 1000 }));
  expect(due()).toBe(1050);
  const silent = work.send(plan({ sentAtMs: 1000, streams: false }));
  expect(due()).toBe(Number.NEGATIVE_INFINITY);
  work.follow(1010);
  expect(due()).toBe(Number.NEGATIVE_INFINITY);
  work.end(silent, undefined, 1020);
  work.follow(1020);
  expect(due()).toBe(1070);
});
