import { FakeClock, seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Answer, type FakePredictor, sound, startFakePredictor, until } from "../test/fake-predictor.ts";
import { BoundedHttp } from "./bounded-http.ts";
import { type FeatureRow, featureRow } from "./feature-row.ts";
import { PredictionClient, predictionsOf } from "./prediction-client.ts";

let predictor: FakePredictor;
let clock: FakeClock;
let http: BoundedHttp;

beforeEach(async () => {
  predictor = await startFakePredictor();
  clock = new FakeClock();
  http = new BoundedHttp(4, clock.timers.after.bind(clock.timers));
});
afterEach(async () => {
  await http.close();
  await predictor.close();
});

const rowOf = (waitingRequests: number): FeatureRow =>
  featureRow({
    ...{ kvCacheUsage: 0.5, waitingRequests, runningRequests: 7, tokensInFlight: 0, promptTokens: 1 },
    ...{ matchedBlocks: 0, totalBlocks: 0, encoderInputSize: 0, encoderMatchedSize: 0, podType: undefined },
  })!;

const clientOf = (...urls: readonly string[]): PredictionClient =>
  new PredictionClient(http, {
    urls: urls.map((url) => new URL(url)),
    timeoutMs: 300,
    now: () => clock.now(),
    random: seededRandom(1),
  });

test("rows go out as they are, and each gets its prediction", async () => {
  expect(await clientOf(`${predictor.url}/base/`).predict([rowOf(2), rowOf(30)])).toEqual([
    { ttftMs: 20, tpotMs: 7 },
    { ttftMs: 300, tpotMs: 7 },
  ]);
  expect(predictor.received).toEqual([
    { path: "/base/predict/bulk/strict", body: { requests: [rowOf(2), rowOf(30)] } },
  ]);
});

const answering =
  (text: string, status = 200): Answer =>
  (_received, response) => {
    response.writeHead(status).end(text);
  };

test.each<[string, Answer, string]>([
  ["another status", answering("{}", 500), "status 500, not 200"],
  ["a redirect", (_r, response) => response.writeHead(302, { location: "/elsewhere" }).end(), "status 302, not 200"],
  ["no JSON", answering("<html>"), "the answer is no JSON"],
  ["no list", answering('{"predictions":{}}'), "the answer has no list of predictions"],
  ["JSON null", answering("null"), "the answer has no list of predictions"],
  ["too few predictions", answering('{"predictions":[]}'), "0 predictions for 1 rows"],
  ["too many predictions", answering('{"predictions":[{},{}]}'), "2 predictions for 1 rows"],
  ["a long answer", answering(" ".repeat(70_000)), "longer than 65536 bytes"],
  [
    "an answer that breaks off",
    (_r, response) => void response.writeHead(200, { "content-length": 10 }).write("{}", () => response.destroy()),
    "POST",
  ],
  ["no answer at all", (_r, response) => void response.destroy(), "POST"],
])("%s is a failure, and names the server", async (_what, answer, message) => {
  predictor.answer = answer;
  const failure = clientOf(predictor.url).predict([rowOf(1)]);
  await expect(failure).rejects.toThrow(message);
  await expect(failure).rejects.toThrow(`POST ${predictor.url}/predict/bulk/strict`);
});

test.each([
  ["before its head", (_r, response) => void response.setTimeout(0)],
  ["within its body", (_r, response) => void response.writeHead(200).write("{")],
] satisfies [string, Answer][])("an answer that stops %s ends with the time limit", async (_what, answer) => {
  predictor.answer = answer;
  const failure = clientOf(predictor.url).predict([rowOf(1)]);
  const noted = expect(failure).rejects.toThrow("no answer within 300 ms");
  await until(() => predictor.received.length === 1);
  clock.advance(300);
  await noted;
});

test("a server that failed is left alone for a second; others are asked", async () => {
  const broken = await startFakePredictor();
  broken.answer = answering("{}", 503);
  const client = clientOf(predictor.url, broken.url);
  let failures = 0;
  for (let i = 0; i < 40; i++) await client.predict([rowOf(1)]).catch(() => failures++);
  expect(failures).toBe(1);
  expect(client.available).toBe(true);
  broken.answer = sound;
  clock.advance(1000);
  for (let i = 0; i < 40; i++) await client.predict([rowOf(1)]);
  expect(broken.received.length).toBeGreaterThan(5);
  expect(predictor.received.length).toBeGreaterThan(5);
  await broken.close();
});

test("when all have failed a moment ago nobody is asked", async () => {
  predictor.answer = answering("{}", 503);
  const client = clientOf(predictor.url);
  await expect(client.predict([rowOf(1)])).rejects.toThrow("503");
  expect(client.available).toBe(false);
  await expect(client.predict([rowOf(1)])).rejects.toThrow("a moment ago");
  expect(predictor.received).toHaveLength(1);
  clock.advance(1000);
  expect(client.available).toBe(true);
});

test("predictions that are no usable number are unknown", () => {
  const body = '{"predictions":[{"ttft_ms":-1,"tpot_ms":"5"},{"ttft_ms":1e99},7,{"ttft_ms":0.5,"tpot_ms":0}]}';
  expect(predictionsOf(Buffer.from(body), 4)).toEqual([
    { ttftMs: Number.NaN, tpotMs: Number.NaN },
    { ttftMs: Number.NaN, tpotMs: Number.NaN },
    { ttftMs: Number.NaN, tpotMs: Number.NaN },
    { ttftMs: 0.5, tpotMs: 0 },
  ]);
});

test("whatever an answer holds, it gives as many predictions as asked for or an error", () => {
  const answer = fc.oneof(
    fc.uint8Array(),
    fc.json().map(Buffer.from),
    fc.array(fc.anything()).map((predictions) => Buffer.from(safeJson({ predictions }))),
  );
  fc.assert(
    fc.property(answer, fc.nat(3), (body, count) => {
      let predictions: readonly { readonly ttftMs: number; readonly tpotMs: number }[] | undefined;
      try {
        predictions = predictionsOf(body, count);
      } catch (thrown: unknown) {
        expect(String(thrown)).toContain("the answer");
      }
      if (predictions === undefined) return;
      expect(predictions).toHaveLength(count);
      for (const { ttftMs, tpotMs } of predictions) {
        for (const value of [ttftMs, tpotMs]) expect(Number.isNaN(value) || value >= 0).toBe(true);
      }
    }),
  );
});

function safeJson(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === "bigint" ? String(one) : one));
}
