import { expect, test } from "vitest";
import { CapacityError, findCapacity } from "./find-capacity.ts";
import { builtinPolicyNames } from "./policies/builtin-policies.ts";
import type { ReplayOutcome } from "./replay-outcome.ts";
import { type ReplayOptions, runReplay } from "./run-replay.ts";
import { hotPrefixRequests, multiTurnRequests, sharedPrefixRequests } from "./workload/synthetic-workloads.ts";
import { buildWorkload, type RequestOutline } from "./workload/workload.ts";

const hot = buildWorkload("hot", hotPrefixRequests(400, 1), 16);
const options: ReplayOptions = { workload: hot, rateScale: 6, servers: 4, seed: 1 };

/** An outcome without what is a wall time, as text. */
function text({ decisionMs: _, served, problems, ...rest }: ReplayOutcome): string {
  const requests = served.map(({ request, decisionMs: __, ...each }) => ({ index: request.index, ...each }));
  return JSON.stringify({ ...rest, problems: [...problems], requests });
}

test.each(builtinPolicyNames)("%s: equal seeds give the same outcome byte for byte", async (policy) => {
  const [first, second] = [await runReplay(policy, options), await runReplay(policy, options)];
  expect(text(first)).toBe(text(second));
  expect(first.counted).toBe(400 - 100 - 40);
  expect(first.requestsPerServer.reduce((sum, count) => sum + count, 0)).toBe(400);
  expect([...first.problems]).toEqual([]);
});

test("another seed gives another outcome to a policy that draws lots", async () => {
  const other = await runReplay("random", { ...options, seed: 2 });
  expect(text(other)).not.toBe(text(await runReplay("random", options)));
});

test("who knows more does better: lots, requests in flight, true state", async () => {
  const workload = buildWorkload("shared", sharedPrefixRequests(500, 1), 16);
  const run = (policy: (typeof builtinPolicyNames)[number]) => runReplay(policy, { ...options, workload });
  const [random, fewest, hash, oracle] = [
    await run("random"),
    await run("least-in-flight"),
    await run("prefix-hash"),
    await run("oracle-e2e"),
  ];
  expect(random.endToEndMs.mean).toBeGreaterThan(fewest.endToEndMs.mean);
  expect(fewest.endToEndMs.mean).toBeGreaterThan(oracle.endToEndMs.mean);
  expect(hash.hitRate).toBeGreaterThan(random.hitRate + 0.1);
  expect(fewest.imbalance).toBeLessThan(random.imbalance / 2);
});

test("round-robin gives every server the same number of requests", async () => {
  expect((await runReplay("round-robin", options)).requestsPerServer).toEqual([100, 100, 100, 100]);
});

test("a follower comes its pause after the answer before it, and finds that conversation in the cache", async () => {
  const workload = buildWorkload("chats", multiTurnRequests(60, 1), 16);
  const { served } = await runReplay("round-robin", { workload, rateScale: 0.2, servers: 1, seed: 1 });
  const byIndex = new Map(served.map((each) => [each.request.index, each]));
  let followers = 0;
  for (const { request, arrivalMs, cachedTokens } of served) {
    if (request.follows === undefined) continue;
    followers++;
    const before = byIndex.get(request.follows)!;
    expect(arrivalMs).toBeCloseTo(before.finishedMs + request.atMs, 6);
    const said = before.request.promptTokens + before.request.output.tokens - 1;
    expect(cachedTokens).toBeGreaterThan(said - 16);
  }
  expect(followers).toBeGreaterThan(30);
  expect(served).toHaveLength(60);
});

test("one slow server drags those down who do not see it, and a stall shows in the longest waits", async () => {
  const troubles = new Map([[0, { speed: 0.25 }]]);
  const plain = await runReplay("round-robin", options);
  const slow = await runReplay("round-robin", { ...options, troubles });
  expect(slow.endToEndMs.mean).toBeGreaterThan(plain.endToEndMs.mean * 1.3);
  const loadOf = async (changes: Partial<ReplayOptions>) =>
    (await runReplay("least-in-flight", { ...options, ...changes })).requestsPerServer;
  expect((await loadOf({ troubles }))[0]).toBeLessThan((await loadOf({}))[0]! * 0.7);
  const stalled = await runReplay("round-robin", {
    ...options,
    troubles: new Map([[1, { stalls: [{ atMs: 30_000, forMs: 20_000 }] }]]),
  });
  expect(stalled.ttftMs.p99).toBeGreaterThan(plain.ttftMs.p99 + 10_000);
  expect(stalled.ttftMs.p50).toBeLessThan(plain.ttftMs.p50 * 1.5);
});

test("a request that fits no server is counted with its reason, and those who wait for it come all the same", async () => {
  const outlines: RequestOutline[] = [
    { atMs: 0, prompt: [{ id: 1, tokens: 400_001 }], output: { id: -1, tokens: 1 } },
    { atMs: 10, follows: 0, prompt: [{ id: 2, tokens: 10 }], output: { id: -2, tokens: 1 } },
  ];
  const outcome = await runReplay("random", { ...options, workload: buildWorkload("long", outlines, 16), warmUp: 0 });
  expect([...outcome.problems]).toEqual([["longer than a server's cache", 1]]);
  expect(outcome.served.map(({ arrivalMs }) => arrivalMs)).toEqual([0, 10]);
  expect(outcome.counted).toBe(1);
});

test("a request that fits no server takes no policy's turn", async () => {
  const outlines = Array.from({ length: 12 }, (_, i): RequestOutline => {
    return { atMs: i, prompt: [{ id: i, tokens: i % 2 === 0 ? 100 : 400_001 }], output: { id: -1 - i, tokens: 1 } };
  });
  const workload = buildWorkload("half too long", outlines, 16);
  const outcome = await runReplay("round-robin", { workload, rateScale: 1, servers: 2, seed: 1 });
  expect(outcome.requestsPerServer).toEqual([3, 3]);
  expect([...outcome.problems]).toEqual([["longer than a server's cache", 6]]);
});

test("followers of an answer that does not come are counted, too", async () => {
  const outlines = Array.from({ length: 3 }, (_, i): RequestOutline => {
    const follows = i === 0 ? {} : { follows: i - 1 };
    return { atMs: 0, ...follows, prompt: [{ id: i, tokens: 100_000 }], output: { id: -1 - i, tokens: 100 } };
  });
  const outcome = await runReplay("random", {
    ...{ workload: buildWorkload("chat", outlines, 16), rateScale: 1, servers: 1, seed: 1 },
    troubles: new Map([[0, { speed: 0.001 }]]),
  });
  expect([...outcome.problems]).toEqual([
    ["not served in time", 1],
    ["follows an answer, and did not come in time", 2],
  ]);
});

test("requests that come too late are told apart from those that failed", async () => {
  const outlines = Array.from({ length: 3 }, (_, i) => ({
    ...{ atMs: 0, prompt: [{ id: i, tokens: 100_000 }], output: { id: -1 - i, tokens: 100 } },
  }));
  const outcome = await runReplay("random", {
    ...{ workload: buildWorkload("slow", outlines, 16), rateScale: 1, servers: 1, seed: 1 },
    troubles: new Map([[0, { speed: 0.001 }]]),
  });
  expect([...outcome.problems]).toEqual([["not served in time", 3]]);
});

test("progress ends with all requests", async () => {
  const seen: string[] = [];
  await runReplay("random", { ...options, onProgress: (done, of) => seen.push(`${done}/${of}`) });
  expect(seen.at(-1)).toBe("400/400");
  expect(seen.length).toBeGreaterThan(4);
});

test("where every rate is too slow to be a load, or too fast, there is no capacity", async () => {
  const outlines = Array.from({ length: 40 }, (_, i) => ({
    ...{ atMs: 1000 * i, prompt: [{ id: i, tokens: 1000 }], output: { id: -1 - i, tokens: 50 } },
  }));
  const few = { workload: buildWorkload("few", outlines, 16), servers: 8, seed: 1 };
  await expect(findCapacity(few)).rejects.toThrow(CapacityError);
  const troubles = new Map([[0, { speed: 1e-6 }]]);
  await expect(findCapacity({ ...few, servers: 1, troubles })).rejects.toThrow(
    "with 40 requests no rate is found that the servers keep up with",
  );
});

/** Prompts of 1,000 tokens, one after another at a distance. */
function evenly(count: number, everyMs: number, outputTokens: number): RequestOutline[] {
  return Array.from({ length: count }, (_, i) => ({
    ...{ atMs: everyMs * i, prompt: [{ id: i, tokens: 1000 }], output: { id: -1 - i, tokens: outputTokens } },
  }));
}

test("answers of one token have a capacity: what computing their prompts takes", async () => {
  const workload = buildWorkload("one token", evenly(300, 1000, 1), 16);
  // A prompt alone takes 36 ms; those that wait for one another share steps.
  const rate = await findCapacity({ workload, servers: 1, seed: 1 });
  expect(rate).toBeGreaterThan(25);
  expect(rate).toBeLessThan(40);
});

test("requests that fit no server do not count against it", async () => {
  const served = evenly(300, 1000, 50);
  const long = served.map((outline, i) =>
    i % 10 === 5 ? { ...outline, prompt: [{ id: i, tokens: 400_001 }] } : outline,
  );
  const rateOf = (outlines: readonly RequestOutline[]): Promise<number> =>
    findCapacity({ workload: buildWorkload("long", outlines, 16), servers: 1, seed: 1 });
  expect((await rateOf(long)) / (await rateOf(served))).toBeGreaterThan(1);
});

test("a log of a request every three hours has a capacity", async () => {
  const [secondly, quiet] = [1000, 10_800_000].map((everyMs) => buildWorkload("even", evenly(300, everyMs, 50), 16));
  const rate = await findCapacity({ workload: quiet!, servers: 1, seed: 1 });
  expect(rate / 10_800 / (await findCapacity({ workload: secondly!, servers: 1, seed: 1 }))).toBeCloseTo(1, 1);
});

test("a workload that no rate makes too much names the rate up to which it was tried", async () => {
  const outlines = evenly(200, 1000, 1).map((outline, i) => (i === 0 ? outline : { ...outline, follows: i - 1 }));
  const workload = buildWorkload("one chat", outlines, 16);
  await expect(findCapacity({ workload, servers: 1, seed: 1 })).rejects.toThrow(
    "the servers keep up with this workload at every rate scale up to 16777216",
  );
});

test("twice the servers take about twice the load, slow ones less, and stalls are left out of account", async () => {
  const shared = { workload: hot, seed: 1 };
  const two = await findCapacity({ ...shared, servers: 2 });
  const four = await findCapacity({ ...shared, servers: 4 });
  const slow = await findCapacity({ ...shared, servers: 2, troubles: new Map([[0, { speed: 0.5 }]]) });
  const stalls = [{ atMs: 0, forMs: 1e9 }];
  expect(four / two).toBeGreaterThan(1.6);
  expect(four / two).toBeLessThan(2.8);
  expect(slow / two).toBeGreaterThan(0.6);
  expect(slow / two).toBeLessThan(0.9);
  expect(await findCapacity({ ...shared, servers: 2, troubles: new Map([[0, { stalls }]]) })).toBe(two);
});
