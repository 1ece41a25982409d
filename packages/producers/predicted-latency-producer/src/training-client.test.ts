import { type Logger, silentLogger } from "@pointsman/core";
import { FakeClock, seededRandom } from "@pointsman/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FakePredictor, sound, startFakePredictor } from "../test/fake-predictor.ts";
import { BoundedHttp } from "./bounded-http.ts";
import { TrainingBuffer, type TrainingRow } from "./training-buffer.ts";
import { TrainingClient } from "./training-client.ts";

let predictor: FakePredictor;
let clock: FakeClock;
let http: BoundedHttp;
let buffer: TrainingBuffer;
let client: TrainingClient;
let lines: string[];

beforeEach(async () => {
  predictor = await startFakePredictor();
  clock = new FakeClock();
  http = new BoundedHttp(1, clock.timers.after.bind(clock.timers));
  buffer = new TrainingBuffer(3, seededRandom(1));
  lines = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (_fields, message) => lines.push(`warn ${message}`),
    info: (_fields, message) => lines.push(`info ${message}`),
  };
  const url = new URL(predictor.url);
  client = new TrainingClient(http, buffer, { url, timeoutMs: 500, intervalMs: 1000, now: () => clock.now(), logger });
});
afterEach(async () => {
  await http.close();
  await predictor.close();
});

const rowOf = (actualTtftMs: number): TrainingRow => ({
  ...{ kv_cache_percentage: 0, input_token_length: 1, num_request_waiting: 0, num_request_running: 0 },
  ...{ num_tokens_generated: 1, prefix_cache_score: 0, encoder_input_size: 0, encoder_matched_size: 0 },
  ...{ prefill_tokens_in_flight: 0, decode_tokens_in_flight: 0, actual_ttft_ms: actualTtftMs, actual_tpot_ms: 0 },
  timestamp: "2026-01-01T00:00:00.000Z",
});
const sentTimes = (): unknown[] =>
  predictor.received.map(({ body }) => body.entries?.map((row) => row["actual_ttft_ms"]).toSorted());

test("all rows are sent in one call, and none without rows", async () => {
  await client.flush();
  buffer.add(rowOf(1));
  buffer.add(rowOf(2));
  await client.flush();
  await client.flush();
  expect(predictor.received).toEqual([{ path: "/add_training_data_bulk", body: { entries: [rowOf(1), rowOf(2)] } }]);
  expect([buffer.size, client.sentRows, lines]).toEqual([0, 2, []]);
});

test("rows that could not be sent are kept and sent later, with pauses that grow, and within the buffer's size", async () => {
  predictor.answer = (_received, response) => void response.writeHead(503).end();
  buffer.add(rowOf(1));
  await client.flush();
  expect(buffer.size).toBe(1);
  clock.advance(1999);
  await client.flush();
  expect(predictor.received).toHaveLength(1);
  clock.advance(1);
  await client.flush();
  expect(predictor.received).toHaveLength(2);
  clock.advance(3999);
  await client.flush();
  expect(predictor.received).toHaveLength(2);
  for (const time of [2, 3, 4, 5]) buffer.add(rowOf(time));
  expect(buffer.size).toBe(3);
  predictor.answer = sound;
  clock.advance(1);
  await client.flush();
  expect([buffer.size, client.sentRows]).toEqual([0, 3]);
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(/^info/);
});

test("a pause is a minute at most", async () => {
  predictor.answer = (_received, response) => void response.destroy();
  buffer.add(rowOf(1));
  for (let i = 0; i < 12; i++) {
    await client.flush();
    clock.advance(60_000);
  }
  expect(predictor.received).toHaveLength(12);
  expect(lines).toHaveLength(1);
});

test("rows that the server refuses for good are dropped, so that others follow", async () => {
  predictor.answer = (_received, response) => void response.writeHead(422).end();
  buffer.add(rowOf(1));
  await client.flush();
  expect([buffer.size, client.refusedRows]).toEqual([0, 1]);
  predictor.answer = sound;
  clock.advance(2000);
  buffer.add(rowOf(2));
  await client.flush();
  expect(sentTimes()).toEqual([[1], [2]]);
});

test.each([408, 429])("rows refused for the moment (%i) are kept", async (status) => {
  predictor.answer = (_received, response) => void response.writeHead(status).end();
  buffer.add(rowOf(1));
  await client.flush();
  expect([buffer.size, client.refusedRows]).toEqual([1, 0]);
});

test("one call is open at a time, and rows that come meanwhile are in the next", async () => {
  buffer.add(rowOf(1));
  const first = client.flush();
  buffer.add(rowOf(2));
  await client.flush();
  await first;
  expect(sentTimes()).toEqual([[1]]);
  await client.flush();
  expect(sentTimes()).toEqual([[1], [2]]);
});
