import { FakeClock } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FeatureRow, featureRow } from "./feature-row.ts";
import { PredictionBatcher, type PredictionBatcherOptions } from "./prediction-batcher.ts";
import type { Prediction } from "./prediction-client.ts";

const rowOf = (promptTokens: number): FeatureRow =>
  featureRow({
    ...{ kvCacheUsage: 0, waitingRequests: 0, runningRequests: 0, tokensInFlight: 0, promptTokens },
    ...{ matchedBlocks: 0, totalBlocks: 0, encoderInputSize: 0, encoderMatchedSize: 0, podType: undefined },
  })!;
const rows = (...tokens: readonly number[]): FeatureRow[] => tokens.map(rowOf);

interface Call {
  readonly tokens: readonly number[];
  succeed(): void;
  fail(): void;
}

/** A batcher whose calls stay open until they are told; predictions echo the row's tokens. */
function batcherWith(options: Partial<PredictionBatcherOptions> = {}) {
  const clock = new FakeClock();
  const calls: Call[] = [];
  const batcher = new PredictionBatcher({
    send: (sent) =>
      new Promise<readonly Prediction[]>((resolve, reject) => {
        const tokens = sent.map((row) => row.input_token_length);
        calls.push({
          tokens,
          succeed: () => resolve(tokens.map((ttftMs) => ({ ttftMs, tpotMs: 0 }))),
          fail: () => reject(new Error("refused")),
        });
      }),
    startTimer: clock.timers.after.bind(clock.timers),
    now: () => clock.now(),
    ...{ windowMs: 1, windowRows: 100, maxRows: 100, maxCalls: 36, timeoutMs: 400 },
    ...options,
  });
  return { batcher, clock, calls };
}

const tokensOf = async (predictions: Promise<readonly Prediction[]>): Promise<readonly number[]> =>
  (await predictions).map(({ ttftMs }) => ttftMs);

test("requests within the window share a call, and each gets its own predictions", async () => {
  const { batcher, clock, calls } = batcherWith();
  const first = batcher.predict(rows(1, 2));
  clock.advance(0.5);
  const second = batcher.predict(rows(3));
  expect(calls).toEqual([]);
  clock.advance(0.5);
  expect(calls.map(({ tokens }) => tokens)).toEqual([[1, 2, 3]]);
  calls[0]!.succeed();
  expect([await tokensOf(first), await tokensOf(second)]).toEqual([[1, 2], [3]]);
});

test("without a window each request is sent at once", () => {
  const { batcher, calls, clock } = batcherWith({ windowMs: 0 });
  void batcher.predict(rows(1));
  void batcher.predict(rows(2));
  expect(calls.map(({ tokens }) => tokens)).toEqual([[1], [2]]);
  expect(clock.pendingTimers).toBe(0);
});

test("enough rows end the window early", () => {
  const { batcher, calls, clock } = batcherWith({ windowRows: 3 });
  void batcher.predict(rows(1, 2));
  expect(calls).toHaveLength(0);
  void batcher.predict(rows(3));
  expect(calls.map(({ tokens }) => tokens)).toEqual([[1, 2, 3]]);
  expect(clock.pendingTimers).toBe(0);
});

test("a request with more rows than a call takes is split and put together again", async () => {
  const { batcher, calls } = batcherWith({ windowMs: 0, maxRows: 100 });
  const tokens = Array.from({ length: 250 }, (_, i) => i);
  const predictions = batcher.predict(rows(...tokens));
  expect(calls.map((call) => call.tokens.length)).toEqual([100, 100, 50]);
  for (const call of calls.toReversed()) call.succeed();
  expect(await tokensOf(predictions)).toEqual(tokens);
});

test("one failed call fails the requests in it and no other", async () => {
  const { batcher, calls } = batcherWith({ windowMs: 0, maxRows: 2 });
  const first = batcher.predict(rows(1, 2, 3));
  const second = batcher.predict(rows(4));
  calls[0]!.fail();
  calls[1]!.succeed();
  calls[2]!.succeed();
  await expect(first).rejects.toThrow("refused");
  expect(await tokensOf(second)).toEqual([4]);
});

test("no more calls than allowed are open; the rest follows, joined", async () => {
  const { batcher, calls } = batcherWith({ windowMs: 0, maxCalls: 1 });
  const all = [1, 2, 3].map((tokens) => batcher.predict(rows(tokens)));
  expect(calls).toHaveLength(1);
  expect(batcher.waitingRows).toBe(2);
  calls[0]!.succeed();
  await all[0];
  await new Promise((resolve) => setImmediate(resolve));
  expect(calls.map(({ tokens }) => tokens)).toEqual([[1], [2, 3]]);
  calls[1]!.succeed();
  expect(await tokensOf(all[2]!)).toEqual([3]);
});

test("rows that waited too long are not sent", async () => {
  const { batcher, calls, clock } = batcherWith({ windowMs: 0, maxCalls: 1, timeoutMs: 400 });
  void batcher.predict(rows(1));
  const late = batcher.predict(rows(2));
  clock.advance(200);
  const inTime = batcher.predict(rows(3));
  clock.advance(200);
  calls[0]!.succeed();
  await expect(late).rejects.toThrow("not sent within 400 ms");
  expect(calls.map(({ tokens }) => tokens)).toEqual([[1], [3]]);
  calls[1]!.succeed();
  expect(await tokensOf(inTime)).toEqual([3]);
});

test("beyond a bound of waiting rows a request is refused at once, and closing refuses what waits", async () => {
  const { batcher } = batcherWith({ windowMs: 0, maxCalls: 0 });
  const waiting = batcher.predict(new Array<FeatureRow>(99_999).fill(rowOf(1)));
  await expect(batcher.predict(rows(1, 2))).rejects.toThrow("99999 rows wait");
  batcher.close();
  await expect(waiting).rejects.toThrow("closed");
  expect(batcher.waitingRows).toBe(0);
});

test("no rows are predicted without a call", async () => {
  const { batcher, calls } = batcherWith({ windowMs: 0 });
  expect(await batcher.predict([])).toEqual([]);
  expect(calls).toEqual([]);
});

test("whatever comes together, each request gets its own rows' predictions, in calls of limited size", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 4 }),
      async (sizes, maxRows, maxCalls) => {
        const { batcher, calls, clock } = batcherWith({ maxRows, maxCalls });
        let next = 0;
        const expected = sizes.map((size) => Array.from({ length: size }, () => next++));
        const answers = expected.map((tokens) => batcher.predict(rows(...tokens)));
        clock.advance(1);
        for (let done = 0; done < calls.length; done++) {
          expect(calls.length - done).toBeLessThanOrEqual(maxCalls);
          calls[done]!.succeed();
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(await Promise.all(answers.map(tokensOf))).toEqual(expected);
        expect(calls.every(({ tokens }) => tokens.length <= maxRows)).toBe(true);
        expect(batcher.waitingRows).toBe(0);
      },
    ),
    { numRuns: 50 },
  );
});
