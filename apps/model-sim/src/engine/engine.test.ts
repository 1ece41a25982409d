import { expect, test } from "vitest";
import { Answer } from "../text/answer.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { BlockHasher, hashPrompt } from "./block-hasher.ts";
import { Engine, type EngineGauges, type EngineObserver, type EngineParams } from "./engine.ts";
import type { EngineListener, EngineSequence } from "./sequence.ts";

// 1000 tokens/s of prefill and no attention term: a prompt token costs 1 ms. A step costs 10 ms.
const plain: EngineParams = {
  blockTokens: 4,
  kvBlocks: 1000,
  maxRunningRequests: 8,
  maxStepTokens: 1000,
  latency: {
    prefillTokensPerSecond: 1000,
    attentionTokens: Number.POSITIVE_INFINITY,
    stepMs: 10,
    stepPerRequestMs: 0,
    stepPer1kContextMs: 0,
  },
  maxResidentAdapters: 0,
  adapterLoadMs: 0,
  maxLagMs: 50,
};

interface Setup {
  readonly clock: VirtualClock;
  readonly engine: Engine;
  readonly gauges: EngineGauges[];
  readonly ended: EngineSequence[];
  readonly errors: unknown[];
  submit(tokens: readonly number[], answerTokens: number, adapter?: string, listener?: EngineListener): EngineSequence;
}

function setUp(changes: Partial<EngineParams> = {}): Setup {
  const params = { ...plain, ...changes };
  const clock = new VirtualClock();
  const gauges: EngineGauges[] = [];
  const ended: EngineSequence[] = [];
  const errors: unknown[] = [];
  const observer: EngineObserver = {
    onScheduled() {},
    onToken() {},
    onEnd: (sequence) => ended.push(sequence),
    onStep() {},
    onGauges: (latest) => gauges.push(latest),
    onListenerError: (error) => errors.push(error),
  };
  const engine = new Engine(params, clock, observer);
  return {
    clock,
    engine,
    gauges,
    ended,
    errors,
    submit(tokens, answerTokens, adapter, listener = { onFinish() {} }) {
      const hasher = new BlockHasher(params.blockTokens, adapter ?? "");
      const promptKeys = hashPrompt(hasher, Uint32Array.from(tokens), params.blockTokens);
      const answer = new Answer(hasher.digest(), answerTokens, "length");
      return engine.submit({ promptTokens: tokens.length, promptKeys, hasher, answer, adapter }, listener);
    },
  };
}

/** Different `first` values give prompts that share no block. */
function prompt(first: number, tokens: number): number[] {
  return Array.from({ length: tokens }, (_, i) => first * 100_000 + i);
}

test("the first token comes after the prefill and one step, each further one a step later", () => {
  const { clock, submit } = setUp();
  const sequence = submit(prompt(1, 100), 4);
  clock.runAll();
  expect(sequence.state).toBe("finished");
  expect(sequence.firstTokenMs).toBe(110);
  expect(sequence.lastTokenMs).toBe(110 + 3 * 10);
});

test("a prompt longer than the token budget takes several steps", () => {
  const { clock, submit } = setUp({ maxStepTokens: 40 });
  const sequence = submit(prompt(1, 100), 1);
  clock.runAll();
  expect(sequence.firstTokenMs).toBe(100 + 3 * 10);
});

test("prompt tokens cost more the more context precedes them", () => {
  const latency = { ...plain.latency, attentionTokens: 100 };
  const { clock, submit } = setUp({ latency });
  const sequence = submit(prompt(1, 100), 1);
  clock.runAll();
  expect(sequence.firstTokenMs).toBe(100 + 50 + 10);
});

test("a decode step takes longer with more requests and more context", () => {
  const latency = { ...plain.latency, stepPerRequestMs: 1, stepPer1kContextMs: 100 };
  const { clock, submit } = setUp({ latency });
  const first = submit(prompt(1, 99), 2);
  clock.runAll();
  // One request with 99 prompt tokens and one generated token of context.
  expect((first.lastTokenMs ?? 0) - (first.firstTokenMs ?? 0)).toBeCloseTo(10 + 1 + 10, 9);
});

test("requests beyond the batch wait, and start in order of arrival when others finish", () => {
  const { clock, engine, submit } = setUp({ maxRunningRequests: 2 });
  const sequences = [1, 2, 3, 4].map((i) => submit(prompt(i, 10), 5));
  clock.runUntil(25);
  expect(engine.state()).toMatchObject({ runningRequests: 2, waitingRequests: 2 });
  clock.runAll();
  const starts = sequences.map((sequence) => sequence.scheduledMs ?? -1);
  expect(starts).toEqual([...starts].sort((a, b) => a - b));
  expect(sequences[2]?.scheduledMs).toBe(sequences[0]?.lastTokenMs);
  expect(engine.state()).toMatchObject({ runningRequests: 0, waitingRequests: 0, usedBlocks: 0, reservedBlocks: 0 });
});

test("a running decode gets its token in the step that also prefills another prompt", () => {
  const { clock, submit } = setUp();
  const tokenTimes: number[] = [];
  submit(prompt(1, 10), 3, undefined, { onToken: () => tokenTimes.push(clock.nowMs()), onFinish() {} });
  clock.runUntil(5);
  submit(prompt(2, 50), 1);
  clock.runAll();
  expect(tokenTimes).toEqual([20, 20 + 60, 20 + 60 + 10]);
});

test("gauges change when a step ends, not before", () => {
  const { clock, gauges, submit } = setUp();
  submit(prompt(1, 100), 2);
  clock.runUntil(109);
  expect(gauges).toEqual([]);
  clock.runUntil(110);
  expect(gauges.at(-1)).toMatchObject({ runningRequests: 1, waitingRequests: 0, kvUsage: 25 / 1000 });
  clock.runAll();
  expect(gauges.at(-1)).toMatchObject({ runningRequests: 0, kvUsage: 0 });
});

test("a prompt whose start is cached computes only the rest", () => {
  const { clock, submit } = setUp();
  submit(prompt(1, 100), 1);
  clock.runAll();
  const startMs = clock.nowMs();
  const second = submit([...prompt(1, 80), ...prompt(2, 20)], 1);
  clock.runAll();
  expect(second.cachedTokens).toBe(80);
  expect((second.firstTokenMs ?? 0) - startMs).toBe(20 + 10);
});

test("at least one prompt token is computed even when all of it is cached", () => {
  const { clock, submit } = setUp();
  submit(prompt(1, 100), 1);
  clock.runAll();
  const second = submit(prompt(1, 100), 1);
  clock.runAll();
  expect(second.cachedTokens).toBe(96);
});

test("a running request's prompt blocks are shared and counted once", () => {
  const { clock, engine, submit } = setUp();
  submit(prompt(1, 40), 20);
  clock.runUntil(60);
  const second = submit(prompt(1, 40), 20);
  clock.runUntil(75);
  expect(second.cachedTokens).toBe(36);
  expect(engine.state().usedBlocks).toBeLessThan(2 * 11);
});

test("an answer sent back in the next prompt is found in the cache", () => {
  const { clock, submit } = setUp();
  const first = submit(prompt(1, 40), 21);
  clock.runAll();
  const answer = Array.from({ length: 21 }, (_, i) => first.request.answer.tokenId(i));
  const next = submit([...prompt(1, 40), ...answer, ...prompt(2, 10)], 1);
  clock.runAll();
  // The last answer token is never stored, so 60 of the 61 tokens are there.
  expect(next.cachedTokens).toBe(60);
});

test("when blocks run out the prefix used least recently is forgotten first", () => {
  // Each request needs 10 blocks, and 30 fit.
  const { clock, submit } = setUp({ kvBlocks: 30 });
  const run = (first: number) => {
    const sequence = submit(prompt(first, 40), 1);
    clock.runAll();
    return sequence.cachedTokens;
  };
  expect([run(1), run(2), run(3)]).toEqual([0, 0, 0]);
  expect(run(1)).toBe(36);
  expect(run(4)).toBe(0);
  expect(run(1)).toBe(36);
  expect(run(3)).toBe(36);
  expect(run(2)).toBe(0);
});

test("a request waits until the blocks for all of it are free, and is not preempted", () => {
  const { clock, submit, ended } = setUp({ kvBlocks: 20 });
  const first = submit(prompt(1, 40), 21);
  const second = submit(prompt(2, 40), 21);
  clock.runAll();
  expect(second.scheduledMs).toBe(first.lastTokenMs);
  expect(ended).toEqual([first, second]);
});

test("a request that can never fit is rejected when it is submitted", () => {
  const { engine, submit } = setUp({ kvBlocks: 10 });
  expect(engine.fits(40, 1)).toBe(true);
  expect(engine.fits(40, 2)).toBe(false);
  expect(() => submit(prompt(1, 40), 2)).toThrow("more KV-cache blocks");
});

test("aborting a waiting request removes it at once", () => {
  const { clock, engine, submit } = setUp({ maxRunningRequests: 1 });
  const sequences = [1, 2, 3].map((i) => submit(prompt(i, 10), 5));
  clock.runUntil(15);
  const [, second, third] = sequences;
  if (second === undefined || third === undefined) throw new Error("no sequences");
  engine.abort(second);
  expect(second.state).toBe("aborted");
  expect(engine.state().waitingRequests).toBe(1);
  clock.runAll();
  expect(third.state).toBe("finished");
  expect(second.scheduledMs).toBeUndefined();
});

test("aborting a running request frees its blocks when the step ends, and its listener hears no more", () => {
  const { clock, engine, gauges, submit } = setUp();
  let tokens = 0;
  let finished = 0;
  const sequence = submit(prompt(1, 40), 50, undefined, {
    onToken: () => (tokens += 1),
    onFinish: () => (finished += 1),
  });
  clock.runUntil(65);
  expect(tokens).toBe(2);
  engine.abort(sequence);
  engine.abort(sequence);
  clock.runAll();
  expect({ tokens, finished }).toEqual({ tokens: 2, finished: 0 });
  expect(engine.state()).toMatchObject({ runningRequests: 0, usedBlocks: 0, reservedBlocks: 0 });
  expect(gauges.at(-1)).toMatchObject({ runningRequests: 0, kvUsage: 0 });
  expect(clock.nowMs()).toBe(70);
});

test("a listener that throws loses its own request only", () => {
  const { clock, engine, errors, gauges, submit } = setUp();
  const broken = new Error("broken");
  const onToken = () => {
    throw broken;
  };
  const first = submit(prompt(1, 10), 5, undefined, { onToken, onFinish() {} });
  const second = submit(prompt(2, 10), 5);
  clock.runAll();
  expect([first.state, second.state]).toEqual(["aborted", "finished"]);
  expect(errors).toEqual([broken]);
  expect(engine.state().usedBlocks).toBe(0);
  const third = submit(prompt(3, 10), 5, undefined, { onToken, onFinish() {} });
  clock.runAll();
  expect(third.state).toBe("aborted");
  expect(gauges.at(-1)).toMatchObject({ runningRequests: 0, kvUsage: 0 });
});

test("a request with an adapter that is not resident waits for its loading, the next one does not", () => {
  const { clock, engine, submit } = setUp({ maxResidentAdapters: 1, adapterLoadMs: 500 });
  const first = submit(prompt(1, 10), 1, "sql");
  clock.runAll();
  expect(first.firstTokenMs).toBe(500 + 10 + 10);
  const startMs = clock.nowMs();
  const second = submit(prompt(2, 10), 1, "sql");
  clock.runAll();
  expect((second.firstTokenMs ?? 0) - startMs).toBe(20);
  expect(engine.state().residentAdapters).toEqual(["sql"]);
});

test("adapters beyond the slots wait, others pass them, and the gauges name both", () => {
  const { clock, gauges, submit } = setUp({ maxResidentAdapters: 1, adapterLoadMs: 100 });
  const running = submit(prompt(1, 10), 5, "sql");
  const waiting = submit(prompt(2, 10), 5, "chat");
  const base = submit(prompt(3, 10), 5);
  clock.runUntil(300);
  expect(gauges.find((gauge) => gauge.waitingAdapters.length > 0)).toMatchObject({
    runningAdapters: ["sql"],
    waitingAdapters: ["chat"],
  });
  clock.runAll();
  expect(base.scheduledMs ?? 0).toBeLessThan(waiting.scheduledMs ?? 0);
  expect(waiting.scheduledMs).toBe(running.lastTokenMs);
  expect(gauges.at(-1)).toMatchObject({ runningAdapters: [], waitingAdapters: [] });
});

test("prefixes are not shared between adapters", () => {
  const { clock, submit } = setUp({ maxResidentAdapters: 2 });
  submit(prompt(1, 40), 1, "sql");
  clock.runAll();
  const other = submit(prompt(1, 40), 1, "chat");
  const same = submit(prompt(1, 40), 1, "sql");
  clock.runAll();
  expect([other.cachedTokens, same.cachedTokens]).toEqual([0, 36]);
});

test("the slow factor stretches the steps that start after it is set", () => {
  const { clock, engine, submit } = setUp();
  const sequence = submit(prompt(1, 10), 3);
  engine.setSlowFactor(4);
  clock.runAll();
  expect([sequence.firstTokenMs, sequence.lastTokenMs]).toEqual([20, 20 + 2 * 40]);
});

test("a timer that is a little late changes no simulated time", () => {
  const { clock, engine, submit } = setUp();
  const sequence = submit(prompt(1, 10), 10);
  clock.runUntil(25);
  clock.stall(40);
  clock.runAll();
  expect(sequence.lastTokenMs).toBe(20 + 9 * 10);
  expect(engine.state().heldBackMs).toBe(0);
});

test("a request that arrives while the engine lags behind does not start before it arrived", () => {
  const { clock, submit } = setUp();
  submit(prompt(1, 10), 1);
  clock.runUntil(15);
  clock.stall(30);
  const late = submit(prompt(2, 10), 1);
  clock.runAll();
  expect(late.scheduledMs).toBe(45);
});

test("a stall longer than the allowed lag holds the simulation back instead of hurrying it", () => {
  const { clock, engine, submit } = setUp();
  const sequence = submit(prompt(1, 10), 1000);
  clock.runUntil(25);
  clock.stall(5000);
  clock.runAll();
  const heldBackMs = engine.state().heldBackMs;
  expect(heldBackMs).toBeGreaterThan(4000);
  expect(sequence.lastTokenMs).toBeCloseTo(20 + 999 * 10 + heldBackMs, 6);
});

test("a stopped engine makes no step", () => {
  const { clock, engine, submit } = setUp();
  const sequence = submit(prompt(1, 10), 5);
  clock.runUntil(25);
  engine.stop();
  clock.runUntil(10_000);
  submit(prompt(2, 10), 5);
  clock.runAll();
  expect(sequence.producedTokens).toBe(1);
});
