import { silentLogger } from "@pointsman/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeApi, until } from "../test/fake-api.ts";
import { FakeLease } from "../test/fake-lease.ts";
import { realTimers } from "../test/real-timers.ts";
import { StallFreeClock } from "../test/stall-free-clock.ts";
import { ApiClient } from "./api-client.ts";
import { LeaderElection, type LeaseTimes, leaseName } from "./leader-election.ts";

const times: LeaseTimes = { leaseMs: 3000, renewMs: 2000, retryMs: 50 };
const patienceMs = 40_000;

const api = new FakeApi();
let lease: FakeLease;
let clock: StallFreeClock;
let started: LeaderElection[] = [];
let told: string[] = [];

beforeEach(async () => {
  await api.start();
  lease = new FakeLease(api);
  clock = new StallFreeClock();
});
afterEach(async () => {
  lease.hangs = false;
  await Promise.all(started.map((each) => each.release()));
  started = [];
  told = [];
  clock.stop();
  await api.stop();
});

function replica(identity: string): LeaderElection {
  const election = new LeaderElection({
    client: new ApiClient(api.access()),
    namespace: "ns",
    lease: "lease",
    identity,
    clock,
    timers: realTimers,
    random: () => 0.5,
    logger: silentLogger,
    times,
    onElected: () => told.push(`${identity} elected`),
    onLost: () => told.push(`${identity} lost`),
  });
  started.push(election);
  election.start();
  return election;
}
const lives = (rounds: number): Promise<void> =>
  until(`${rounds} more writes`, reached(lease.writes + rounds), patienceMs);
const reached = (count: number) => (): boolean => lease.writes >= count;

test("the name of the lease is that of the Go picker", () => {
  expect(leaseName("ns", "pool")).toBe("epp-ns-pool.llm-d.ai");
});

test("the first replica makes the lease and renews it; its fields are those of Kubernetes' own leaders", async () => {
  const a = replica("a");
  await until("a leads", () => a.leading, patienceMs);
  const { acquireTime, renewTime, ...rest } = lease.current!.spec;
  expect(rest).toEqual({ holderIdentity: "a", leaseDurationSeconds: 3, leaseTransitions: 0 });
  expect(String(acquireTime)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  await lives(3);
  expect(lease.current!.spec["acquireTime"]).toBe(acquireTime);
  expect(String(lease.current!.spec["renewTime"]) > String(renewTime)).toBe(true);
  expect(told).toEqual(["a elected"]);
});

test("of several replicas one leads, however long they try", async () => {
  const all = ["a", "b", "c"].map(replica);
  await until("one leads", () => all.some(({ leading }) => leading), patienceMs);
  await lives(20);
  expect(all.filter(({ leading }) => leading)).toHaveLength(1);
  expect(told).toHaveLength(1);
});

test("a leader that ends gives the lease back, and the standby has it before it runs out", async () => {
  const a = replica("a");
  await until("a leads", () => a.leading, patienceMs);
  const b = replica("b");
  await lives(3);
  expect(b.leading).toBe(false);
  await a.release();
  expect(a.leading).toBe(false);
  const releasedAtMs = clock.now();
  await until("b leads", () => b.leading, patienceMs);
  expect(clock.now() - releasedAtMs).toBeLessThan(times.leaseMs);
  expect(lease.current!.spec["leaseTransitions"]).toBe(1);
  expect(told).toEqual(["a elected", "b elected"]);
});

test("a lease that nobody renews is taken once its time has run out on the standby's own clock", async () => {
  // Times of the holder say that it was renewed in the far future: they are not looked at.
  lease.set({
    holderIdentity: "dead",
    leaseDurationSeconds: 3,
    renewTime: "2999-01-01T00:00:00.000000Z",
    leaseTransitions: 4,
  });
  const seenAtMs = clock.now();
  const b = replica("b");
  await until("b leads", () => b.leading, patienceMs);
  expect(clock.now() - seenAtMs).toBeGreaterThanOrEqual(times.leaseMs);
  expect(lease.current!.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 5 });
});

test.each<[unknown, number]>([
  [5, 5000],
  [1, 1000],
  [0, times.leaseMs],
  [1e9, times.leaseMs],
])("a holder that states a lease of %j seconds is given %d ms", async (leaseDurationSeconds, leaseMs) => {
  lease.set({ holderIdentity: "other", leaseDurationSeconds });
  const seenAtMs = clock.now();
  const b = replica("b");
  await until("b leads", () => b.leading, patienceMs);
  const tookMs = clock.now() - seenAtMs;
  expect(tookMs).toBeGreaterThanOrEqual(leaseMs);
  if (leaseMs < times.leaseMs) expect(tookMs).toBeLessThan(times.leaseMs);
});

test.each(["hangs", "refuses"])("a leader whose API server %s stops to lead before another may", async (how) => {
  const a = replica("a");
  await until("a leads", () => a.leading, patienceMs);
  await lives(2);
  const renewedAtMs = clock.now();
  if (how === "hangs") lease.hangs = true;
  else lease.refusal = 503;
  await until("a has lost it", () => !a.leading, patienceMs);
  const tookMs = clock.now() - renewedAtMs;
  expect(tookMs).toBeGreaterThan(times.renewMs - 2 * times.retryMs);
  expect(tookMs).toBeLessThan(times.leaseMs);
  expect(told).toEqual(["a elected", "a lost"]);
  lease.hangs = false;
  lease.refusal = undefined;
  await new Promise((resolve) => setTimeout(resolve, 5 * times.retryMs));
  expect(a.leading).toBe(false);
});

test("a leader that misses some renewals and is back in time goes on", async () => {
  const a = replica("a");
  await until("a leads", () => a.leading, patienceMs);
  lease.refusal = 500;
  await new Promise((resolve) => setTimeout(resolve, times.renewMs / 3));
  lease.refusal = undefined;
  await lives(3);
  expect(told).toEqual(["a elected"]);
});

test("a leader that finds another one's name in the lease has lost it", async () => {
  const a = replica("a");
  await until("a leads", () => a.leading, patienceMs);
  lease.set({ holderIdentity: "thief", leaseTransitions: 9 });
  await until("a has lost it", () => told.length === 2, patienceMs);
  expect(told).toEqual(["a elected", "a lost"]);
  expect(lease.holder).toBe("thief");
});

test("a lease that is edited without another holder, or deleted, stays with its leader", async () => {
  const a = replica("a");
  await until("a leads", () => a.leading, patienceMs);
  lease.set({ ...lease.current!.spec, note: "edited" });
  await lives(2);
  lease.current = undefined;
  await lives(2);
  expect(lease.holder).toBe("a");
  expect(told).toEqual(["a elected"]);
});

test("a lease whose fields are not what they should be is taken like one that nobody holds", async () => {
  lease.set({ holderIdentity: 7, leaseTransitions: "x" });
  const a = replica("a");
  await until("a leads", () => a.leading, patienceMs);
});

test("a replica that ends while its first write is unanswered gives back what that write took", async () => {
  lease.silentWrites = true;
  const a = replica("a");
  await until("the lease is written", () => lease.holder === "a", patienceMs);
  lease.silentWrites = false;
  expect(a.leading).toBe(false);
  await a.release();
  expect(lease.current?.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1 });
  expect(told).toEqual([]);
});

test("a standby that ends writes nothing", async () => {
  lease.set({ holderIdentity: "other" });
  const b = replica("b");
  await until("it stands by", () => b.holder === "other", patienceMs);
  await b.release();
  expect(lease.writes).toBe(0);
});
