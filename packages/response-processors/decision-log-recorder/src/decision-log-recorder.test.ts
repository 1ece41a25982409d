import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  hasRole,
  type InferenceRequest,
  type Logger,
  type MetricsRegistry,
  noMetrics,
  type ResponseBodyEvent,
  type SchedulingResult,
  SESSION_ID,
  silentLogger,
  TOKENIZED_PROMPT,
} from "@pointsman/core";
import { buildEndpoint, buildPlugin, buildRequest, FakeClock, pluginContract } from "@pointsman/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import decisionLogRecorder from "./index.ts";

pluginContract(decisionLogRecorder, { testFile: import.meta.url, params: { path: "decisions.jsonl" } });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "decision-log-"));
});
afterEach(() => rm(folder, { recursive: true }));

const endpoint = buildEndpoint(3);
const result: SchedulingResult = {
  primaryProfile: "default",
  profiles: new Map([["default", { targets: [endpoint], candidates: [endpoint], totals: Float64Array.of(1) }]]),
};
const usage = { promptTokens: 1003, completionTokens: 7, totalTokens: 1010, cachedTokens: 512 };

function recorder(changes: { params?: object; logger?: Logger } = {}) {
  const clock = new FakeClock(10_000, 1_700_000_000_000);
  const counts = new Map<string, number>();
  const metrics: MetricsRegistry = {
    ...noMetrics,
    counter: () => ({
      labels: (...labels) => ({
        inc: (by = 1) => void counts.set(labels.join(" "), (counts.get(labels.join(" ")) ?? 0) + by),
      }),
      remove: () => undefined,
    }),
  };
  const { instance } = buildPlugin(decisionLogRecorder, {
    params: { path: "log.jsonl", ...changes.params },
    ...{ baseDirectory: folder, clock, metrics, logger: changes.logger ?? silentLogger },
  });
  if (!hasRole(instance, "preRequest") || !hasRole(instance, "responseBodyProcessor"))
    throw new Error("a role is missing");
  const { preRequest, responseBody } = instance;
  return {
    clock,
    counts,
    instance,
    decide: (request: InferenceRequest) => preRequest.call(instance, request, result),
    answer: (request: InferenceRequest, event: Partial<ResponseBodyEvent>) =>
      responseBody.call(instance, request, result, {
        ...{ startOfStream: false, endOfStream: false, chunkBytes: 1, usage: undefined, streamedEvents: 0 },
        ...{
          terminationCause: event.endOfStream === true ? "natural" : undefined,
          setDynamicMetadata: () => undefined,
        },
        ...event,
      }),
    async lines(): Promise<Record<string, unknown>[]> {
      await instance.dispose?.();
      const text = await readFile(join(folder, "log.jsonl"), "utf8").catch(() => "");
      return text
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}

function request(fields: { tokens?: number; stream?: boolean; session?: string; estimated?: boolean } = {}) {
  const tokenIds = Uint32Array.from({ length: fields.tokens ?? 1000 }, (_, i) => i);
  return buildRequest({
    nowMs: 9500,
    body: { stream: fields.stream ?? true, model: "m" },
    attributes: [
      [
        TOKENIZED_PROMPT.from(),
        {
          prompts: [{ tokenIds, features: [] }],
          totalTokens: tokenIds.length,
          estimated: fields.estimated ?? false,
        },
      ],
      ...(fields.session === undefined ? [] : [[SESSION_ID.from(), fields.session] as const]),
    ],
  });
}

test("a finished request is one line with its times, lengths, hashes and endpoint", async () => {
  const { clock, counts, decide, answer, lines } = recorder();
  const one = request({ session: "alice" });
  expect(decide(one)).toBeUndefined();
  one.releaseBody();
  clock.advance(20);
  answer(one, { startOfStream: true });
  clock.advance(30.5);
  answer(one, {});
  answer(one, { endOfStream: true, usage, streamedEvents: 9 });
  const [line, ...more] = await lines();
  expect(more).toEqual([]);
  expect(line).toEqual({
    timestamp: 1_700_000_010_000 - 500,
    input_length: 1000,
    hash_ids: [expect.any(Number), expect.any(Number)],
    hash_block_tokens: 512,
    session: expect.any(String),
    model: "m",
    endpoint: "127.0.0.1:8003",
    output_length: 7,
    prompt_tokens: 1003,
    cached_tokens: 512,
    ttft_ms: 520,
    e2e_ms: 550.5,
  });
  expect(JSON.stringify(line)).not.toContain("alice");
  expect([...counts]).toEqual([["decision-log-recorder written", 1]]);
});

test("what is estimated is said to be, and what is not known is absent", async () => {
  const { decide, answer, lines } = recorder();
  const one = request({ estimated: true });
  decide(one);
  answer(one, { endOfStream: true, streamedEvents: 4 });
  const [line] = await lines();
  expect(line).toMatchObject({ input_length_estimated: true, output_length: 4, output_length_estimated: true });
  for (const field of ["session", "prompt_tokens", "cached_tokens", "ended_by"]) expect(line).not.toHaveProperty(field);
});

test("an answer that is no stream has no time to its first token", async () => {
  const { decide, answer, lines } = recorder();
  const one = request({ stream: false });
  decide(one);
  answer(one, { startOfStream: true, endOfStream: true, usage });
  expect((await lines())[0]).not.toHaveProperty("ttft_ms");
});

test("an answer that was cut off is recorded as far as it went, with the reason", async () => {
  const { decide, answer, lines } = recorder();
  const one = request();
  decide(one);
  answer(one, { endOfStream: true, chunkBytes: 0, streamedEvents: 3, terminationCause: "client-disconnect" });
  expect(await lines()).toMatchObject([{ output_length: 3, ended_by: "client-disconnect" }]);
});

test("requests that cannot be lines are counted by reason", async () => {
  const { counts, decide, answer, lines } = recorder({ params: { blockTokens: 1 } });
  const unknown = buildRequest();
  decide(unknown);
  answer(unknown, { endOfStream: true, usage });
  const long = request({ tokens: 40_000 });
  decide(long);
  answer(long, { endOfStream: true, usage });
  const silent = request({ stream: false });
  decide(silent);
  answer(silent, { endOfStream: true });
  expect(await lines()).toEqual([]);
  expect(Object.fromEntries(counts)).toEqual({
    "decision-log-recorder no-prompt": 1,
    "decision-log-recorder prompt-too-long": 1,
    "decision-log-recorder no-output": 1,
  });
});

test("a log that cannot be written is told once and counted each time; requests go on", async () => {
  await mkdir(join(folder, "log.jsonl"));
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields: object, message: string) => warnings.push(message) };
  const { counts, decide, answer, lines, instance } = recorder({ logger });
  for (let i = 0; i < 5; i++) {
    const one = request();
    decide(one);
    answer(one, { endOfStream: true, usage });
    await instance.dispose?.();
  }
  await lines();
  expect(warnings).toEqual(["the decision log cannot be written"]);
  expect(Object.fromEntries(counts)).toEqual({ "decision-log-recorder write-failed": 5 });
  expect(instance.dumpState?.()).toMatchObject({ queuedBytes: 0, requests: { "write-failed": 5, written: 0 } });
});

test.each([
  [{}, "path"],
  [{ path: "" }, "path"],
  [{ path: "x", maxBytes: 10 }, "maxBytes"],
  [{ path: "x", blockTokens: 0 }, "blockTokens"],
  [{ path: "x", blockSize: 5 }, "blockSize"],
])("parameters %j are refused: %s", (params, message) => {
  expect(() => buildPlugin(decisionLogRecorder, { params })).toThrow(message);
});
