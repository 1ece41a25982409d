import { type MetricsRegistry, noMetrics, silentLogger } from "@pointsman/core";
import { FakeClock } from "@pointsman/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeApi, status } from "../test/fake-api.ts";
import { ApiClient } from "./api-client.ts";
import { MetricsAuth } from "./metrics-auth.ts";

const tokenReviews = "/apis/authentication.k8s.io/v1/tokenreviews";
const accessReviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

const api = new FakeApi();
let clock: FakeClock;
let reviewed: unknown[];
let allow: (spec: Record<string, unknown>) => boolean;

beforeEach(async () => {
  clock = new FakeClock();
  reviewed = [];
  allow = () => true;
  api.posts.set(tokenReviews, ({ spec }) => {
    const { token } = spec as { token: string };
    const user = {
      username: token.replace("token of ", "").replace("good-", ""),
      uid: "7",
      groups: ["g", 8],
      extra: { k: ["v"] },
    };
    return {
      status: 201,
      body: { status: token.startsWith("good-") ? { authenticated: true, user } : { authenticated: false } },
    };
  });
  api.posts.set(accessReviews, ({ spec }) => {
    reviewed.push(spec);
    return { status: 201, body: { status: { allowed: allow(spec as Record<string, unknown>) } } };
  });
  await api.start();
});
afterEach(() => api.stop());

function auth(metrics: MetricsRegistry = noMetrics): MetricsAuth {
  return new MetricsAuth({ client: new ApiClient(api.access()), clock, logger: silentLogger, metrics });
}
const get = (token: string | undefined, url = "/metrics") => ({
  method: "GET",
  url,
  authorization: token === undefined ? undefined : `Bearer ${token}`,
});
const reviews = (path: string): number => api.requests.filter((line) => line === `POST ${path}`).length;

test("a known user who may read passes; what is asked is the path without query and the method in small letters", async () => {
  expect(await auth().check({ method: "GET", url: "/metrics?x=1", authorization: "bearer good-bob" })).toBeUndefined();
  expect(reviewed).toEqual([
    {
      user: "bob",
      uid: "7",
      groups: ["g"],
      extra: { k: ["v"] },
      nonResourceAttributes: { path: "/metrics", verb: "get" },
    },
  ]);
});

test.each([undefined, "", "Basic Zm9v", "Bearer", "Bearer a b", `Bearer ${"x".repeat(20_000)}`])(
  "without a bearer token it is 401, and nobody is asked: %s",
  async (authorization) => {
    api.requests.length = 0;
    const refusal = await auth().check({ method: "GET", url: "/metrics", authorization });
    expect(refusal).toEqual({ status: 401, body: "Unauthorized" });
    expect(api.requests).toEqual([]);
  },
);

test("a token that nobody knows is 401, a user who may not is 403 by name", async () => {
  expect(await auth().check(get("bad"))).toEqual({ status: 401, body: "Unauthorized" });
  allow = () => false;
  expect(await auth().check(get("good-eve"))).toEqual({ status: 403, body: "Authorization denied for user eve" });
});

test("reviews that fail are 500, and are tried anew with the next request", async () => {
  const checks = auth();
  const works = api.posts.get(tokenReviews)!;
  api.posts.set(tokenReviews, () => ({ status: 500, body: status(500, "InternalError", "etcd") }));
  expect(await checks.check(get("good-bob"))).toEqual({ status: 500, body: "Authentication failed" });
  api.posts.set(tokenReviews, works);
  api.posts.set(accessReviews, () => ({ status: 403, body: status(403, "Forbidden", "may not review") }));
  expect(await checks.check(get("good-bob"))).toEqual({ status: 500, body: "Authorization for user bob failed" });
  api.posts.set(tokenReviews, () => ({ status: 201, body: { status: { authenticated: true, user: {} } } }));
  expect(await checks.check(get("good-nameless"))).toEqual({ status: 500, body: "Authentication failed" });
});

test("who somebody is is kept for a minute, that they may for five, that they may not for half a minute", async () => {
  const checks = auth();
  api.requests.length = 0;
  const counts = async (afterMs: number, url = "/metrics"): Promise<readonly [number, number]> => {
    clock.advance(afterMs);
    await checks.check(get("good-bob", url));
    return [reviews(tokenReviews), reviews(accessReviews)];
  };
  expect(await counts(0)).toEqual([1, 1]);
  expect(await counts(59_999)).toEqual([1, 1]);
  expect(await counts(1)).toEqual([2, 1]);
  expect(await counts(239_999)).toEqual([3, 1]);
  expect(await counts(1)).toEqual([3, 2]);
  allow = () => false;
  expect(await counts(0, "/debug/pprof/heap")).toEqual([3, 3]);
  expect(await counts(29_999, "/debug/pprof/heap")).toEqual([3, 3]);
  expect(await counts(1, "/debug/pprof/heap")).toEqual([3, 4]);
});

test("an unknown token is asked about again after ten seconds", async () => {
  const checks = auth();
  api.requests.length = 0;
  for (const waitMs of [0, 9_999, 1]) {
    clock.advance(waitMs);
    await checks.check(get("bad"));
  }
  expect(reviews(tokenReviews)).toBe(2);
});

test("requests at the same time share one review; verdicts of users and paths do not mix", async () => {
  const checks = auth();
  api.requests.length = 0;
  await Promise.all(Array.from({ length: 20 }, () => checks.check(get("good-bob"))));
  expect([reviews(tokenReviews), reviews(accessReviews)]).toEqual([1, 1]);
  allow = ({ user, nonResourceAttributes }) =>
    user === "bob" && (nonResourceAttributes as { path: string }).path === "/metrics";
  const other = auth();
  expect(await other.check(get("good-bob"))).toBeUndefined();
  expect(await other.check(get("good-eve"))).toMatchObject({ status: 403 });
  expect(await other.check(get("good-bob", "/debug/plugins/state"))).toMatchObject({ status: 403 });
  expect(await other.check({ ...get("good-bob"), method: "POST" })).toBeUndefined();
});

test("a flood of made-up tokens is at most 32 reviews at a time", async () => {
  const checks = auth();
  let open = 0;
  let most = 0;
  api.intercept = (_request, response) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      response.writeHead(201, { "content-type": "application/json" });
      response.end('{"status":{"authenticated":false}}');
    }, 20);
    return "done";
  };
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => checks.check(get(`bad-${i}`))));
  api.intercept = undefined;
  expect(most).toBeLessThanOrEqual(32);
  expect(answers.filter((refusal) => refusal?.status === 401)).toHaveLength(32);
  expect(answers.filter((refusal) => refusal?.status === 500)).toHaveLength(168);
});

test("with the API server away, users that are known pass as long as they are kept", async () => {
  const checks = auth();
  await checks.check(get("good-bob"));
  await api.stop();
  expect(await checks.check(get("good-bob"))).toBeUndefined();
  expect(await checks.check(get("good-new"))).toEqual({ status: 500, body: "Authentication failed" });
});
