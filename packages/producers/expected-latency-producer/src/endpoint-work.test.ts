import { seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Dispatch, type DispatchPlan, EndpointWork } from "./endpoint-work.ts";
import { attentionPairs, PoolModel } from "./pool-model.ts";

/** A model that notes what it is taught instead of learning it, so that times stay the assumed ones. */
class NotedModel extends PoolModel {
  readonly prefills: { readonly tokens: number; readonly pairs: number; readonly ms: number }[] = [];
  readonly steps: { readonly contextTokens: number; readonly ms: number }[] = [];

  override learnPrefill(tokens: number, pairs: number, ms: number): void {
    this.prefills.push({ tokens, pairs, ms });
  }

  override learnStep(contextTokens: number, ms: number): void {
    this.steps.push({ contextTokens, ms });
  }
}

const plan = (fields: Partial<DispatchPlan> = {}): DispatchPlan => ({
  promptTokens: 1000,
  cachedTokens: 0,
  prefillMs: 100,
  ttftMs: 115,
  sentAtMs: 0,
  streams: true,
  ...fields,
});

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
  expect([work.present, work.decoding, work.pendingTokens, work.contextTokens]).toEqual([2, 1, 1000, 1000]);
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
          sum(decoding, (each) => each.plan.promptTokens),
          4,
        );
        expect(work.pendingTokens).toBeCloseTo(
          sum(left, (each) => each.uncachedTokens),
          4,
        );
        const queuedMs = sum(left, (each) => each.plan.prefillMs) * work.slowness;
        const expectedMs = left.length === 0 ? 0 : Math.abs(queuedMs - (nowMs - headSinceMs));
        expect(work.backlogMs(nowMs)).toBeCloseTo(expectedMs, 4);
      }
      for (const value of Object.values(model.dump())) expect(value).toBeLessThan(Infinity);
    }),
  );
});

test("first tokens that come within two milliseconds are one step of the engine, learned once the next one comes", () => {
  const model = new NotedModel();
  const work = new EndpointWork(model);
  const [a, b, c, d] = [
    work.send(plan({ promptTokens: 1000, cachedTokens: 400 })),
    work.send(plan({ promptTokens: 500, sentAtMs: 5 })),
    work.send(plan({ promptTokens: 300, sentAtMs: 10 })),
    work.send(plan({ promptTokens: 100, sentAtMs: 20 })),
  ];
  work.firstToken(a!, 130);
  work.firstToken(b!, 131.5);
  expect(model.prefills).toEqual([]);
  work.firstToken(c!, 200);
  const pairs = attentionPairs(600, 400) + attentionPairs(500, 0);
  expect(model.prefills).toEqual([{ tokens: 1100, pairs, ms: 130 }]);
  const { slowness } = work;
  work.firstToken(d!, 220);
  expect(model.prefills[1]).toEqual({ tokens: 300, pairs: attentionPairs(300, 0), ms: (200 - 131.5) / slowness });
});

test("a prompt that was sent to an idle endpoint is measured from its own start", () => {
  const model = new NotedModel();
  const work = new EndpointWork(model);
  work.firstToken(work.send(plan()), 100);
  work.firstToken(work.send(plan({ sentAtMs: 5000 })), 5090);
  work.firstToken(work.send(plan({ sentAtMs: 9000 })), 9100);
  expect(model.prefills.map(({ ms }) => ms)[0]).toBe(100);
  expect(model.prefills[1]!.ms * work.slowness).toBeGreaterThan(80);
  expect(model.prefills[1]!.ms * work.slowness).toBeLessThan(200);
});

test("a prompt whose first token nobody sees counts as computed when it should be", () => {
  const work = newWork();
  const whole = work.send(plan({ streams: false }));
  work.send(plan({ streams: false, sentAtMs: 20 }));
  expect(work.backlogMs(50)).toBe(150);
  expect([work.present, work.decoding]).toEqual([2, 0]);
  expect(work.backlogMs(150)).toBe(50);
  expect([work.present, work.decoding, work.contextTokens]).toEqual([2, 1, 1000]);
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
  const atTheStart = work.slowness;
  work.end(short!, 7, 900);
  work.end(between!, undefined, 1000);
  expect(model.steps).toEqual([]);
  work.end(long!, 101, 2000);
  const [step] = model.steps;
  expect(model.steps).toHaveLength(1);
  // 1900 ms, of which two prompts of 100 ms each, by an endpoint of nearly usual speed.
  expect(step!.ms * atTheStart).toBeCloseTo(17, 0);
  expect(step!.contextTokens).toBe(1000);
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
  const [usual, , other, slow] = works.map(({ slowness }) => slowness);
  expect(slow! / usual!).toBeGreaterThan(1.7);
  expect(slow! / usual!).toBeLessThan(2.3);
  expect(other! / usual!).toBeGreaterThan(0.9);
  expect(other! / usual!).toBeLessThan(1.1);
});

test("an endpoint that recovers is known as recovered", () => {
  const model = new PoolModel();
  const works = [new EndpointWork(model), new EndpointWork(model)];
  const endMs = serve(works, model, [1, 3], 60);
  expect(works[1]!.slowness / works[0]!.slowness).toBeGreaterThan(2);
  serve(works, model, [1, 1], 150, endMs);
  expect(works[1]!.slowness / works[0]!.slowness).toBeLessThan(1.15);
});

test("no single answer, however late, makes an endpoint a fifth slower, and all together not more than 150 times", () => {
  const model = new NotedModel();
  const work = new EndpointWork(model);
  work.firstToken(work.send(plan()), 1e8);
  work.firstToken(work.send(plan({ sentAtMs: 2e8 })), 3e8);
  expect(work.slowness).toBeGreaterThan(1.1);
  expect(work.slowness).toBeLessThan(1.2);
  for (let i = 0; i < 500; i++) work.firstToken(work.send(plan({ sentAtMs: (4 + i) * 1e8 })), (4.5 + i) * 1e8);
  expect(work.slowness).toBeGreaterThan(100);
  expect(work.slowness).toBeLessThan(150);
});

test("an endpoint that looks slow and gets no request any more looks like the others again within two minutes", () => {
  const model = new PoolModel();
  const works = [new EndpointWork(model), new EndpointWork(model)];
  const endMs = serve(works, model, [1, 4], 40);
  const slow = works[1]!;
  const { slowness } = slow;
  expect(slowness / works[0]!.slowness).toBeGreaterThan(2);
  slow.fade(endMs + 5000);
  expect(slow.slowness).toBe(slowness);
  slow.fade(endMs + 40_000);
  expect(slow.slowness).toBeLessThan(1 + (slowness - 1) / 2);
  for (let sinceMs = 40_000; sinceMs <= 120_000; sinceMs += 100) slow.fade(endMs + sinceMs);
  expect(slow.slowness).toBeGreaterThan(1);
  expect(slow.slowness).toBeLessThan(1.05);
});

test("an endpoint that is seen to be slow every ten seconds stays so", () => {
  const model = new NotedModel();
  const work = new EndpointWork(model);
  for (let i = 0; i < 60; i++) {
    work.fade(i * 10_000);
    work.firstToken(work.send(plan({ sentAtMs: i * 10_000 })), i * 10_000 + 300);
  }
  expect(work.slowness).toBeGreaterThan(2);
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
