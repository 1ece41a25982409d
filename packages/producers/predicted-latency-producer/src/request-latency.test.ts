import { expect, test } from "vitest";
import { answerTimes } from "./request-latency.ts";

const usage = { promptTokens: 1, completionTokens: 11, totalTokens: 12, cachedTokens: undefined };
const start = { startMs: 1000 };

test.each([
  { name: "tokens that the answer counts", usage, streamedEvents: 5, tpotMs: 90 },
  { name: "else the events of its stream", usage: undefined, streamedEvents: 10, tpotMs: 100 },
  { name: "else its pieces", usage: undefined, streamedEvents: 0, tpotMs: 300 },
])("time per token is over $name, without the first", ({ tpotMs, ...event }) => {
  expect(answerTimes(start, { firstChunkMs: 1100, chunks: 4 }, 2000, event, true)).toEqual({ ttftMs: 100, tpotMs });
});

test("an answer in one piece, or without a piece, has no time per token", () => {
  const event = { usage, streamedEvents: 5 };
  expect(answerTimes(start, { firstChunkMs: 2000, chunks: 1 }, 2000, event, true)).toEqual({ ttftMs: 1000 });
  expect(answerTimes(start, { firstChunkMs: undefined, chunks: 0 }, 2000, event, true)).toEqual({ ttftMs: 1000 });
});

test("where the first token is not told from the rest, the whole answer is time to first token", () => {
  const event = { usage, streamedEvents: 5 };
  expect(answerTimes(start, { firstChunkMs: 1100, chunks: 9 }, 2000, event, false)).toEqual({ ttftMs: 1000 });
});
