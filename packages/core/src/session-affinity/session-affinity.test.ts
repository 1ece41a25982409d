import { expect, test } from "vitest";
import {
  type BuiltPlugin,
  buildEndpoint,
  buildPlugin,
  buildRequest,
  type RequestOptions,
} from "../../../testkit/src/builders.ts";
import { FakeClock } from "../../../testkit/src/fake-clock.ts";
import { AGENT_IDENTITY, SESSION_ID } from "../attributes/request-attributes.ts";
import type { Endpoint } from "../endpoint.ts";
import { Headers } from "../headers.ts";
import { type MetricsRegistry, noMetrics } from "../metrics.ts";
import { definePlugin } from "../plugin/plugin.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import { createSessionAffinity, type SessionAffinity } from "./session-affinity.ts";
import {
  type SessionAffinityParams,
  sessionAffinityConsumes,
  sessionAffinityParams,
  sessionAffinityProduces,
} from "./session-affinity-params.ts";

const idOfSession = "x-session-id";

/** A strategy at work over a pool that a test may change. */
function affinityOver(
  endpoints: Endpoint[],
  params: object,
  options: { readonly metrics?: MetricsRegistry } = {},
): SessionAffinity & Pick<BuiltPlugin, "clock"> {
  const made: SessionAffinity[] = [];
  const definition = definePlugin<SessionAffinityParams>({
    type: "test-affinity",
    kind: "filter",
    stability: "alpha",
    summary: "Lets a test hold a strategy.",
    params: sessionAffinityParams,
    consumes: sessionAffinityConsumes,
    produces: sessionAffinityProduces,
    create: (checked, host) => {
      made.push(createSessionAffinity(checked, host));
      return {};
    },
  });
  const clock = new FakeClock();
  buildPlugin(definition, { params, clock, endpoints: () => endpoints, ...options });
  return { ...made[0]!, clock };
}

const pool = (count: number): Endpoint[] => Array.from({ length: count }, (_, slot) => buildEndpoint(slot));

function chosen(primary: Endpoint, others: Readonly<Record<string, Endpoint>> = {}): SchedulingResult {
  const profile = (...targets: Endpoint[]) => ({
    targets,
    candidates: targets,
    totals: new Float64Array(targets.length),
  });
  const profiles = new Map(Object.entries(others).map(([name, target]) => [name, profile(target)]));
  return { primaryProfile: "decode", profiles: profiles.set("decode", profile(primary)) };
}

/** A request of a session goes to `target`, having seen `candidates`. */
function route(affinity: SessionAffinity, session: RequestOptions, candidates: readonly Endpoint[], target: Endpoint) {
  const request = buildRequest(session);
  affinity.choose(request, candidates);
  expect(affinity.hooks.preRequest!(request, chosen(target))).toBeUndefined();
}

const inSession = (id: string): RequestOptions => ({ headers: { [idOfSession]: id } });

function tokenOf(affinity: SessionAffinity, result: SchedulingResult, servedBy?: string, header = "x-session-token") {
  const setHeaders = new Map<string, string>();
  const event = { headers: new Headers(), status: 200, servedBy, proxyMetadata: {}, setHeaders };
  affinity.hooks.responseHeaders!(buildRequest(), result, event);
  return setHeaders.get(header);
}

test("a token that the client sends back leads to the endpoint that gave it", () => {
  const endpoints = pool(3);
  const affinity = affinityOver(endpoints, {});
  const token = tokenOf(affinity, chosen(endpoints[1]!))!;
  expect(token).toBe(Buffer.from("default/server-1").toString("base64"));
  expect(affinity.choose(buildRequest({ headers: { "x-session-token": token } }), endpoints)).toBe(endpoints[1]);
});

test.each(["", "%%%", "bm9ib2R5", "AAAA".repeat(1000)])("the token %j leads nowhere", (token) => {
  const request = buildRequest({ headers: { "x-session-token": token } });
  expect(affinityOver([], {}).choose(request, pool(2))).toBeUndefined();
});

test("a token of an endpoint that is no candidate leads nowhere", () => {
  const endpoints = pool(2);
  const request = buildRequest({ headers: { "x-session-token": Buffer.from("default/server-0").toString("base64") } });
  expect(affinityOver([], {}).choose(request, [endpoints[1]!])).toBeUndefined();
});

test("the token names the target of the profile that is configured, or nothing where it did not run", () => {
  const [decode, prefill] = pool(2) as [Endpoint, Endpoint];
  const params = { profileName: "prefill", encodedEndpointHeaderConfig: { header: "X-Prefill" } };
  const affinity = affinityOver([], params);
  const result = chosen(decode, { prefill });
  expect(tokenOf(affinity, result, undefined, "x-prefill")).toBe(Buffer.from(prefill.id).toString("base64"));
  expect(tokenOf(affinity, chosen(decode), undefined, "x-prefill")).toBeUndefined();
});

test("where the proxy went on to another target, the token names the one that served", () => {
  const targets = pool(3);
  const decode = { targets, candidates: targets, totals: new Float64Array(3) };
  const result = { primaryProfile: "decode", profiles: new Map([["decode", decode]]) };
  const nameIn = (token: string | undefined) => Buffer.from(token ?? "", "base64").toString();
  expect(nameIn(tokenOf(affinityOver([], {}), result, targets[1]!.hostPort))).toBe("default/server-1");
  expect(nameIn(tokenOf(affinityOver([], {}), result, "10.9.9.9:1"))).toBe("default/server-0");
});

const remembered = { strategy: "session_id" };

test("a session stays with the endpoint that its first request went to", () => {
  const endpoints = pool(3);
  const affinity = affinityOver(endpoints, remembered);
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBeUndefined();
  route(affinity, inSession("s"), endpoints, endpoints[2]!);
  for (let i = 0; i < 10; i++) {
    expect(affinity.choose(buildRequest(inSession(" s ")), endpoints)).toBe(endpoints[2]);
    route(affinity, inSession("s"), endpoints, endpoints[2]!);
  }
  expect(affinity.choose(buildRequest(inSession("t")), endpoints)).toBeUndefined();
});

test("a picker that prefers another endpoint does not move the session", () => {
  const endpoints = pool(2);
  const affinity = affinityOver(endpoints, remembered);
  route(affinity, inSession("s"), endpoints, endpoints[0]!);
  route(affinity, inSession("s"), endpoints, endpoints[1]!);
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBe(endpoints[0]);
});

test("a session moves when its endpoint was no candidate", () => {
  const endpoints = pool(2);
  const affinity = affinityOver(endpoints, remembered);
  route(affinity, inSession("s"), endpoints, endpoints[0]!);
  route(affinity, inSession("s"), [endpoints[1]!], endpoints[1]!);
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBe(endpoints[1]);
});

test("an endpoint that one of several profiles saw counts as present", () => {
  const endpoints = pool(2);
  const affinity = affinityOver(endpoints, remembered);
  route(affinity, inSession("s"), endpoints, endpoints[0]!);
  for (const order of [endpoints, endpoints.toReversed()]) {
    const request = buildRequest(inSession("s"));
    for (const candidate of order) affinity.choose(request, [candidate]);
    affinity.hooks.preRequest!(request, chosen(endpoints[1]!));
    expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBe(endpoints[0]);
  }
});

test("a request that did not look does not move a session, and binds a new one", () => {
  const endpoints = pool(2);
  const affinity = affinityOver(endpoints, remembered);
  const decide = (target: Endpoint) => affinity.hooks.preRequest!(buildRequest(inSession("s")), chosen(target));
  decide(endpoints[0]!);
  decide(endpoints[1]!);
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBe(endpoints[0]);
});

test("two requests with one id do not disturb each other", () => {
  const endpoints = pool(2);
  const affinity = affinityOver(endpoints, remembered);
  route(affinity, inSession("s"), endpoints, endpoints[0]!);
  const sawIt = buildRequest({ id: "same", ...inSession("s") });
  const missedIt = buildRequest({ id: "same", ...inSession("s") });
  affinity.choose(sawIt, endpoints);
  affinity.choose(missedIt, [endpoints[1]!]);
  affinity.hooks.preRequest!(sawIt, chosen(endpoints[1]!));
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBe(endpoints[0]);
});

test("a session that was not used for longer than its time is bound anew, before any sweep", () => {
  const endpoints = pool(2);
  const sessionIdConfig = { evictionTtlSeconds: 60, evictionSweepSeconds: 3600 };
  const affinity = affinityOver(endpoints, { ...remembered, sessionIdConfig });
  route(affinity, inSession("s"), endpoints, endpoints[0]!);
  affinity.clock.advance(60_000);
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBe(endpoints[0]);
  affinity.clock.advance(1);
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBeUndefined();
  route(affinity, inSession("s"), endpoints, endpoints[1]!);
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBe(endpoints[1]);
});

test("unused sessions are removed at the interval, and the number of sessions is a metric", () => {
  const endpoints = pool(2);
  const sizes: number[] = [];
  const removed: (readonly string[])[] = [];
  const metrics: MetricsRegistry = {
    ...noMetrics,
    gauge: () => ({
      labels: () => ({ set: (value) => sizes.push(value), inc: () => {}, dec: () => {} }),
      remove: (...labels) => removed.push(labels),
    }),
  };
  const affinity = affinityOver(endpoints, remembered, { metrics });
  route(affinity, inSession("s"), endpoints, endpoints[0]!);
  affinity.clock.advance(200_000);
  route(affinity, inSession("t"), endpoints, endpoints[1]!);
  affinity.clock.advance(110_000);
  expect(sizes.slice(0, 1)).toEqual([1]);
  expect(sizes.at(-1)).toBe(1);
  expect(affinity.hooks.dumpState!()).toMatchObject({ sessions: 1, endpoints: [{ endpoint: "default/server-1" }] });
  affinity.hooks.dispose!();
  expect(removed).toEqual([["test-affinity", "test-affinity"]]);
});

test("more sessions than allowed push out those used longest ago", () => {
  const endpoints = pool(1);
  const affinity = affinityOver(endpoints, { ...remembered, sessionIdConfig: { maxSessions: 2 } });
  for (const session of ["1", "2", "3"]) route(affinity, inSession(session), endpoints, endpoints[0]!);
  expect(affinity.choose(buildRequest(inSession("1")), endpoints)).toBeUndefined();
  expect(affinity.hooks.dumpState!()).toMatchObject({ sessions: 2, maxSessions: 2 });
});

test("with an endpoint its sessions go, and a late decision for it leaves nothing behind", () => {
  const endpoints = pool(2);
  const affinity = affinityOver(endpoints, remembered);
  const [gone] = endpoints;
  route(affinity, inSession("s"), endpoints, gone!);
  affinity.hooks.endpointChanged!({ type: "addOrUpdate", endpoint: gone! });
  expect(affinity.hooks.dumpState!()).toMatchObject({ sessions: 1 });
  endpoints.shift();
  affinity.hooks.endpointChanged!({ type: "delete", endpoint: gone! });
  expect(affinity.hooks.dumpState!()).toMatchObject({ sessions: 0 });
  route(affinity, inSession("s"), [gone!], gone!);
  expect(affinity.hooks.dumpState!()).toMatchObject({ sessions: 0 });
});

test("the target of the configured profile is remembered, nothing where it did not run", () => {
  const endpoints = pool(2);
  const affinity = affinityOver(endpoints, { ...remembered, profileName: "prefill" });
  affinity.hooks.preRequest!(buildRequest(inSession("s")), chosen(endpoints[0]!));
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBeUndefined();
  affinity.hooks.preRequest!(buildRequest(inSession("s")), chosen(endpoints[0]!, { prefill: endpoints[1]! }));
  expect(affinity.choose(buildRequest(inSession("s")), endpoints)).toBe(endpoints[1]);
});

test("the first source that says something names the session", () => {
  const endpoints = pool(3);
  const sources = [
    { header: idOfSession },
    { attribute: "agent-identity" },
    { attribute: "SessionIDDataKey", producer: "by-cookie" },
  ];
  const affinity = affinityOver(endpoints, { ...remembered, sessionIdConfig: { sources } });
  const byCookie = [SESSION_ID.from("by-cookie"), "c"] as const;
  route(affinity, inSession("h"), endpoints, endpoints[0]!);
  route(affinity, { attributes: [[AGENT_IDENTITY, "a"]] }, endpoints, endpoints[1]!);
  route(affinity, { attributes: [byCookie] }, endpoints, endpoints[2]!);
  const slot = (options: RequestOptions) => affinity.choose(buildRequest(options), endpoints)?.slot;
  expect(slot({ ...inSession("h"), attributes: [[AGENT_IDENTITY, "a"], byCookie] })).toBe(0);
  expect(slot({ ...inSession(" "), attributes: [[AGENT_IDENTITY, "a"], byCookie] })).toBe(1);
  expect(slot({ ...inSession("x".repeat(1025)), attributes: [[AGENT_IDENTITY, ""], byCookie] })).toBe(2);
  expect(slot({ attributes: [[SESSION_ID.from(), "c"]] })).toBeUndefined();
});

test("an attribute that is no text names no session", () => {
  const endpoints = pool(1);
  const sources = [{ attribute: "agent-identity" }];
  const affinity = affinityOver(endpoints, { ...remembered, sessionIdConfig: { sources } });
  route(affinity, { attributes: [[AGENT_IDENTITY, 7]] }, endpoints, endpoints[0]!);
  expect(affinity.hooks.dumpState!()).toMatchObject({ sessions: 0 });
});

test("a session of 1,024 characters is remembered, a longer one is none", () => {
  const endpoints = pool(1);
  const affinity = affinityOver(endpoints, remembered);
  route(affinity, inSession("x".repeat(1025)), endpoints, endpoints[0]!);
  expect(affinity.hooks.dumpState!()).toMatchObject({ sessions: 0 });
  route(affinity, inSession("x".repeat(1024)), endpoints, endpoints[0]!);
  expect(affinity.hooks.dumpState!()).toMatchObject({ sessions: 1 });
});
