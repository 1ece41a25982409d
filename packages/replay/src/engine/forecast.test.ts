import { expect, test } from "vitest";
import { VirtualTime } from "../virtual-time.ts";
import { buildWorkload } from "../workload/workload.ts";
import { defaultEngineModel } from "./engine-model.ts";
import { forecast } from "./forecast.ts";
import { type EngineTrouble, SimulatedEngine } from "./simulated-engine.ts";

const workload = buildWorkload(
  "forecasts",
  [
    { atMs: 0, prompt: [{ id: 1, tokens: 8000 }], output: { id: -1, tokens: 200 } },
    { atMs: 0, prompt: [{ id: 1, tokens: 8000 }], output: { id: -2, tokens: 200 } },
    { atMs: 0, prompt: [{ id: 2, tokens: 100_000 }], output: { id: -3, tokens: 200 } },
    { atMs: 0, prompt: [{ id: 3, tokens: 380_000 }], output: { id: -4, tokens: 2000 } },
  ],
  16,
);
const [first, same, long, huge] = [0, 1, 2, 3].map((i) => workload.requests[i]!) as [
  (typeof workload.requests)[0] & object,
  (typeof workload.requests)[0] & object,
  (typeof workload.requests)[0] & object,
  (typeof workload.requests)[0] & object,
];

function start(trouble?: EngineTrouble) {
  const time = new VirtualTime();
  const engine = new SimulatedEngine({
    ...{ index: 0, model: defaultEngineModel, keyCount: workload.keyCount, trouble },
    now: () => time.now(),
    at: (atMs, run) => void time.at(atMs, run),
  });
  return { time, engine };
}

test("on an idle server the forecast is what comes", () => {
  for (const trouble of [undefined, { speed: 0.5 }]) {
    const { time, engine } = start(trouble);
    const seen = forecast(engine, first);
    let [firstMs, lastMs] = [0, 0];
    engine.submit(first, (sequence) => {
      firstMs = sequence.firstTokenMs;
      lastMs = sequence.finishedMs;
    });
    while (time.step());
    expect(seen.ttftMs).toBeCloseTo(firstMs, 6);
    expect(seen.decodeMs / (lastMs - firstMs)).toBeCloseTo(1, 1);
    expect([seen.harmMs, seen.computeTokens]).toEqual([0, 8000]);
  }
});

test("a prompt that is cached, or ahead in the queue, has little to compute", () => {
  const { time, engine } = start();
  engine.submit(first, () => undefined);
  expect(forecast(engine, same).computeTokens).toBe(16);
  while (time.step());
  expect(forecast(engine, same).computeTokens).toBe(16);
  expect(forecast(engine, same).ttftMs).toBeLessThan(20);
});

test("work ahead makes the forecast later, and the newcomer costs those who are there", () => {
  const { engine } = start();
  const alone = forecast(engine, first);
  engine.submit(long, () => undefined);
  const behind = forecast(engine, first);
  expect(behind.ttftMs).toBeGreaterThan(alone.ttftMs + 1000);
  expect(behind.harmMs).toBeGreaterThan(0);
});

test("where memory is what is missing, the forecast waits for it", () => {
  const { time, engine } = start();
  engine.submit(huge, () => undefined);
  while (engine.running[0]!.outputTokens === 0) time.step();
  expect(forecast(engine, long).ttftMs).toBeGreaterThan(1999 * defaultEngineModel.stepBaseMs);
});
