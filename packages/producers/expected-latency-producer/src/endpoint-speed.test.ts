import { seededRandom } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { EndpointSpeed } from "./endpoint-speed.ts";

/** Observes times that are `truth` times what the pool expects, each off by up to `noise` of itself. */
function observe(
  speed: EndpointSpeed,
  truth: number,
  count: number,
  options: { readonly noise?: number; readonly prefillShare?: number; readonly startMs?: number } = {},
): number {
  const { noise = 0.1, prefillShare = 1, startMs = 0 } = options;
  const random = seededRandom(11);
  let nowMs = startMs;
  for (let i = 0; i < count; i++) {
    nowMs += 500;
    const expected = prefillShare * speed.prefill + (1 - prefillShare) * speed.step;
    const seen = truth * (1 + noise * (2 * random() - 1));
    speed.observe(Math.log(seen / expected), (prefillShare * speed.prefill) / expected, noise, nowMs);
  }
  return nowMs;
}

const newSpeed = (): EndpointSpeed => new EndpointSpeed(() => {});

test("before anything is seen, an endpoint is as fast as its pool", () => {
  expect([newSpeed().prefill, newSpeed().step]).toEqual([1, 1]);
});

test("exact times tell a slow endpoint at once, noisy ones hardly", () => {
  const [exact, noisy] = [newSpeed(), newSpeed()];
  observe(exact, 2, 20, { noise: 0.05 });
  observe(noisy, 2, 20, { noise: 0.9 });
  expect(exact.prefill).toBeGreaterThan(1.8);
  expect(exact.prefill).toBeLessThan(2.1);
  expect(noisy.prefill).toBeLessThan(1.25);
});

test("of equal endpoints seen through noise, none looks a tenth slower or faster for long", () => {
  const random = seededRandom(12);
  for (let endpoint = 0; endpoint < 20; endpoint++) {
    const speed = newSpeed();
    for (let i = 0; i < 300; i++) {
      const ratio = 1 + 0.5 * (2 * random() - 1);
      speed.observe(Math.log(ratio / speed.prefill) + 0.045, 1, 0.3, i * 500);
      expect(Math.abs(Math.log(speed.prefill))).toBeLessThan(0.2);
    }
    expect(Math.abs(Math.log(speed.prefill))).toBeLessThan(0.09);
  }
});

test("the factor of which nothing is seen follows the other one part of the way", () => {
  const speed = newSpeed();
  observe(speed, 3, 60, { prefillShare: 1 });
  expect(speed.prefill).toBeGreaterThan(2.7);
  expect(speed.step).toBeGreaterThan(1.2);
  expect(speed.step).toBeLessThan(speed.prefill);
});

test("prompts and steps are told apart where both are seen", () => {
  const speed = newSpeed();
  for (let i = 0; i < 60; i++) {
    observe(speed, 3, 1, { prefillShare: 1, startMs: i * 1000 });
    observe(speed, 1.5, 1, { prefillShare: 0, startMs: i * 1000 });
  }
  expect(speed.prefill / 3).toBeCloseTo(1, 0);
  expect(speed.step / 1.5).toBeCloseTo(1, 0);
});

test("no single time, however long or short, makes an endpoint a quarter slower or faster", () => {
  for (const logRatio of [20, -20, 3]) {
    const speed = newSpeed();
    speed.observe(logRatio, 1, 0, 0);
    expect(speed.prefill).toBeLessThan(1.25);
    expect(speed.prefill).toBeGreaterThan(0.8);
  }
});

test("an endpoint that becomes half as fast after a thousand answers is known as such within 40 more", () => {
  const speed = newSpeed();
  const nowMs = observe(speed, 1, 1000, { noise: 0.2 });
  observe(speed, 2, 40, { noise: 0.2, startMs: nowMs });
  expect(speed.prefill).toBeGreaterThan(1.7);
});

test("what is known fades when nothing is seen: after 10 s it begins, after two minutes little is left", () => {
  const speed = newSpeed();
  const nowMs = observe(speed, 3, 60);
  const { prefill } = speed;
  speed.fade(nowMs + 9000);
  expect(speed.prefill).toBe(prefill);
  speed.fade(nowMs + 40_000);
  expect(speed.prefill).toBeLessThan(1 + (prefill - 1) / 2);
  for (let sinceMs = 40_000; sinceMs <= 120_000; sinceMs += 100) speed.fade(nowMs + sinceMs);
  expect(speed.prefill).toBeGreaterThanOrEqual(1);
  expect(speed.prefill).toBeLessThan(1.05);
});

test("who listens hears of the first observation, of each change, and of the end", () => {
  const sums = [0, 0, 0];
  const speed = new EndpointSpeed((...changes) => {
    for (const [i, change] of changes.entries()) sums[i]! += change;
  });
  expect(sums).toEqual([0, 0, 0]);
  observe(speed, 2, 50);
  expect(sums[0]).toBe(1);
  expect(sums[1]).toBeGreaterThan(0.5);
  speed.forget();
  speed.forget();
  expect(sums[0]).toBe(0);
  expect(sums[1]).toBeCloseTo(0, 9);
  expect(sums[2]).toBeCloseTo(0, 9);
});

test("factors stay between a 150th and 150, whatever is observed", () => {
  const observation = fc.tuple(
    fc.oneof(fc.double({ min: -50, max: 50, noNaN: true }), fc.constantFrom(Number.NaN, Infinity, -Infinity)),
    fc.double({ min: -0.5, max: 1.5 }),
    fc.double({ min: -1, max: 1e6 }),
    fc.nat(60_000),
  );
  fc.assert(
    fc.property(fc.array(observation, { maxLength: 300 }), (all) => {
      const speed = newSpeed();
      let nowMs = 0;
      for (const [logRatio, share, noise, waitMs] of all) {
        nowMs += waitMs;
        speed.fade(nowMs);
        speed.observe(logRatio, share, noise, nowMs);
        for (const factor of [speed.prefill, speed.step]) {
          expect(factor).toBeGreaterThan(1 / 150);
          expect(factor).toBeLessThan(150);
        }
      }
    }),
  );
});
