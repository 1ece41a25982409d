import { seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { TrainingBuffer, type TrainingRow } from "./training-buffer.ts";

const rowOf = (inputTokens: number, fields: Partial<TrainingRow> = {}): TrainingRow => ({
  ...{ kv_cache_percentage: 0, input_token_length: inputTokens, num_request_waiting: 0, num_request_running: 0 },
  ...{ num_tokens_generated: 1, prefix_cache_score: 0, encoder_input_size: 0, encoder_matched_size: 0 },
  ...{ prefill_tokens_in_flight: 0, decode_tokens_in_flight: 0, actual_ttft_ms: 1, actual_tpot_ms: 0 },
  ...{ timestamp: "2026-01-01T00:00:00.000Z", ...fields },
});

test("rows are kept and taken out once", () => {
  const buffer = new TrainingBuffer(10, seededRandom(1));
  buffer.add(rowOf(1));
  buffer.add(rowOf(1000));
  expect(
    buffer
      .take()
      .map((row) => row.input_token_length)
      .toSorted(),
  ).toEqual([1, 1000]);
  expect([buffer.size, buffer.take()]).toEqual([0, []]);
});

test("a full buffer stays at its size, and rare kinds stay in it", () => {
  const buffer = new TrainingBuffer(100, seededRandom(1));
  for (let i = 0; i < 5; i++) buffer.add(rowOf(100_000, { kv_cache_percentage: 0.9 }));
  for (let i = 0; i < 3; i++) buffer.add(rowOf(10, { actual_ttft_ms: 0, actual_tpot_ms: 5 }));
  for (let i = 0; i < 5000; i++) buffer.add(rowOf(10));
  const rows = buffer.take();
  expect(rows).toHaveLength(100);
  expect(rows.filter((row) => row.kv_cache_percentage === 0.9)).toHaveLength(5);
  expect(rows.filter((row) => row.actual_tpot_ms > 0)).toHaveLength(3);
  expect(buffer.displaced).toBe(4908);
});

test("whatever comes, the size is what was added, up to the capacity", () => {
  const row = fc
    .record({ tokens: fc.nat(2 ** 30), kv: fc.double({ min: 0, max: 1, noNaN: true }), tpot: fc.nat(3) })
    .map(({ tokens, kv, tpot }) => rowOf(tokens, { kv_cache_percentage: kv, actual_tpot_ms: tpot }));
  fc.assert(
    fc.property(fc.array(row, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (rows, capacity) => {
      const buffer = new TrainingBuffer(capacity, seededRandom(2));
      for (const one of rows) buffer.add(one);
      expect(buffer.size).toBe(Math.min(rows.length, capacity));
      const taken = buffer.take();
      expect(taken).toHaveLength(Math.min(rows.length, capacity));
      for (const one of taken) expect(rows).toContain(one);
    }),
  );
});
