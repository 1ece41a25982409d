import { seededRandom } from "@pointsman/testkit";
import { expect, test } from "vitest";
import { attentionPairs, PoolModel } from "./pool-model.ts";

test("each new token attends to what is cached and to the new ones before it", () => {
  expect(attentionPairs(100, 0)).toBe(5000);
  expect(attentionPairs(100, 1000)).toBe(105_000);
  expect(attentionPairs(0, 1000)).toBe(0);
});

test("before any answer, times are the assumed ones", () => {
  const model = new PoolModel();
  expect(model.sharedMs(0)).toBe(15);
  expect(model.sharedMs(20_000)).toBeCloseTo(15 + 1.5, 9);
  expect(model.prefillMs(1000, 0)).toBeCloseTo(30 + 0.5, 9);
  expect(model.prefillMs(1000, 2000)).toBeCloseTo(30 + 2.5, 9);
  expect(model.pairedMs(1000, 500_000)).toBeCloseTo(30.5, 9);
  expect([model.usualPrefill, model.usualStep]).toEqual([1, 1]);
  expect(model.stepMs(20_000)).toBeCloseTo(11, 9);
  expect(model.relations().stepPerTokenMs).toBeCloseTo(0.00005, 12);
  expect([model.tokenRatio, model.reuse, model.meanPromptTokens, model.meanPrefillMs]).toEqual([1, 0, 0, 0]);
});

test("learns what a token, a pair and a step cost", () => {
  const model = new PoolModel();
  const random = seededRandom(3);
  for (let i = 0; i < 600; i++) {
    const tokens = 50 + random() * 8000;
    const pairs = attentionPairs(tokens, random() * 30_000);
    const context = random() * 200_000;
    const exactMs = 40 + 0.1 * tokens + (3 * pairs) / 1e6 + (0.3 * context) / 1000;
    model.learnPrefill(tokens, pairs, context, exactMs * (0.95 + 0.1 * random()));
    model.learnStep(context, (20 + (0.2 * context) / 1000) * (0.95 + 0.1 * random()), 100);
  }
  expect(model.prefillMs(4000, 0) / (400 + 24)).toBeCloseTo(1, 1);
  expect(model.prefillMs(1000, 20_000) / (100 + 61.5)).toBeCloseTo(1, 1);
  expect((model.sharedMs(100_000) - model.sharedMs(0)) / 30).toBeCloseTo(1, 0);
  expect(model.stepMs(100_000) / 40).toBeCloseTo(1, 1);
});

test("an answer is expected to be as long as its model's are, at most as long as the request allows", () => {
  const model = new PoolModel();
  expect(model.outputTokens("chatty", undefined)).toBe(200);
  for (let i = 0; i < 50; i++) {
    model.learnOutput("chatty", 1000);
    model.learnOutput("terse", 10);
  }
  expect(model.outputTokens("chatty", undefined)).toBeCloseTo(1000, 6);
  expect(model.outputTokens("terse", undefined)).toBeCloseTo(10, 6);
  expect(model.outputTokens("chatty", 50)).toBe(50);
  expect(model.outputTokens("terse", 50)).toBeCloseTo(10, 6);
  // A model that has not answered is taken to be like the others.
  const other = model.outputTokens("new", undefined);
  expect(other).toBeGreaterThan(400);
  expect(other).toBeLessThan(600);
});

test("64 models are told apart; further ones share a mean", () => {
  const model = new PoolModel();
  for (let i = 0; i < 1000; i++) model.learnOutput(`model-${i}`, 100);
  for (let i = 0; i < 50; i++) model.learnOutput("model-63", 5000);
  for (let i = 0; i < 50; i++) model.learnOutput("model-64", 900);
  expect(model.outputTokens("model-63", undefined)).toBeGreaterThan(4000);
  expect(model.outputTokens("model-64", undefined)).toBe(model.outputTokens("model-999", undefined));
});

test.each([-1, 1e7, Infinity, Number.NaN])("an answer of %d tokens is not believed", (tokens) => {
  const model = new PoolModel();
  model.learnOutput("m", tokens);
  expect(model.outputTokens("m", undefined)).toBe(200);
});

test.each([
  [0, 100],
  [100, 0],
  [1e6, 1],
  [1, 1e6],
  [Number.NaN, 1],
])("%d tokens counted where the engine counts %d say nothing of their ratio", (counted, reported) => {
  const model = new PoolModel();
  model.learnTokenRatio(counted, reported);
  expect(model.tokenRatio).toBe(1);
});

test("the ratio of counts, the reuse of prompts and what prompts cost are means of what was seen", () => {
  const model = new PoolModel();
  model.learnTokenRatio(1200, 1000);
  model.learnReuse(300, 1000);
  model.learnReuse(0, 0);
  model.learnPrompt(1000, 40);
  model.learnPrompt(3000, 80);
  expect([model.tokenRatio, model.reuse, model.meanPromptTokens, model.meanPrefillMs]).toEqual([1.2, 0.3, 2000, 60]);
});

test("how long answers take for each millisecond to their first token is a ratio of means, unknown before the first", () => {
  const model = new PoolModel();
  expect(model.usualEndToEndRatio).toBeNaN();
  model.learnLatency(100, 1000);
  model.learnLatency(300, 5000);
  for (const [ttftMs, endToEndMs] of [
    [0, 50],
    [-1, 50],
    [200, 100],
    [Number.NaN, 100],
  ] as const) {
    model.learnLatency(ttftMs, endToEndMs);
  }
  expect(model.usualEndToEndRatio).toBe(15);
});

test("the more of prompts is found in caches, the more requests come for what is new, ten at most", () => {
  const followers = (reuse: number): number => {
    const model = new PoolModel();
    model.learnReuse(reuse * 1000, 1000);
    return model.followers;
  };
  expect(followers(0)).toBe(0);
  expect(followers(0.75)).toBeCloseTo(3, 9);
  expect([followers(0.95), followers(1)]).toEqual([10, 10]);
});

test("times that are seen late by chance are known to be less exact, short ones the most", () => {
  const [exact, noisy] = [new PoolModel(), new PoolModel()];
  const random = seededRandom(4);
  for (let i = 0; i < 500; i++) {
    const tokens = 100 + random() * 8000;
    const ms = 15 + 0.03 * tokens;
    exact.learnPrefill(tokens, 0, 0, ms);
    noisy.learnPrefill(tokens, 0, 0, ms + 40 * random());
  }
  expect(noisy.prefillNoiseMs(60)).toBeGreaterThan(5 * exact.prefillNoiseMs(60));
  expect(noisy.prefillNoiseMs(60) / 60).toBeGreaterThan(1.5 * (noisy.prefillNoiseMs(600) / 600));
  expect(exact.stepNoiseMs(10, 8)).toBeGreaterThan(1.5 * exact.stepNoiseMs(10, 500));
});

test("the usual endpoint is the mean of those of which something was seen", () => {
  const model = new PoolModel();
  model.noteSpeeds(1, 0, 0);
  model.noteSpeeds(1, 0, 0);
  model.noteSpeeds(0, Math.log(4), Math.log(9));
  expect(model.usualPrefill).toBeCloseTo(2, 9);
  expect(model.usualStep).toBeCloseTo(3, 9);
  model.noteSpeeds(-1, -Math.log(4), -Math.log(9));
  expect([model.usualPrefill, model.usualStep]).toEqual([1, 1]);
});

test("of answers in the making, more is left where a few are much longer than others", () => {
  const [equal, uneven] = [new PoolModel(), new PoolModel()];
  for (let i = 0; i < 2000; i++) {
    equal.learnOutput("m", 500);
    uneven.learnOutput("m", i % 10 === 0 ? 4550 : 50);
  }
  expect(equal.overlap(500)).toBeCloseTo(1 - Math.exp(-0.5), 2);
  expect(uneven.overlap(500)).toBeGreaterThan(0.9);
  expect(equal.overlap(50)).toBeGreaterThan(0.98);
  expect(equal.overlap(50_000)).toBeLessThan(0.01);
});

test("its state is numbers with as many digits as people read", () => {
  const model = new PoolModel();
  model.learnTokenRatio(1000, 3001);
  expect(model.dump()).toEqual({
    fixedMs: 15,
    perTokenMs: 0.03,
    perMillionPairsMs: 1,
    waitPer1000ContextTokensMs: 0.075,
    prefillSamples: 0,
    stepMs: 10,
    per1000ContextTokensMs: 0.05,
    stepSamples: 0,
    meanOutputTokens: 200,
    tokenRatio: 0.3332,
    reuse: 0,
    usualTtftMs: 0,
    usualEndToEndMs: 0,
  });
});
