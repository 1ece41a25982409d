import { expect, test } from "vitest";
import { WAITING_QUEUE_SIZE } from "../attributes/metric-attributes.ts";
import { AGENT_IDENTITY, SESSION_ID } from "../attributes/request-attributes.ts";
import {
  type SessionAffinityParams,
  sessionAffinityConsumes,
  sessionAffinityParams,
  sessionAffinityProduces,
} from "./session-affinity-params.ts";

function outcomeOf(given: unknown): { readonly value?: unknown; readonly problems: readonly string[] } {
  const outcome = sessionAffinityParams["~standard"].validate(given);
  if (outcome instanceof Promise) throw new Error("the check waits");
  const problems = (outcome.issues ?? []).map(({ path = [], message }) => `${path.join(".")}: ${message}`);
  return outcome.issues === undefined ? { value: outcome.value, problems } : { problems };
}

function read(given: unknown): SessionAffinityParams {
  const { value, problems } = outcomeOf(given);
  expect(problems).toEqual([]);
  // What the check accepted is of this type.
  return value as SessionAffinityParams;
}

const remembered = { strategy: "session_id" };

test("nothing given: a token in x-session-token for the primary profile", () => {
  expect(read({})).toEqual({ strategy: "encoded_endpoint_header", profileName: "", header: "x-session-token" });
});

test("session_id without settings: x-session-id, 300 s, every 10 s, 65,536 sessions", () => {
  expect(read(remembered)).toEqual({
    strategy: "session_id",
    profileName: "",
    sources: [{ header: "x-session-id" }],
    ttlMs: 300_000,
    sweepMs: 10_000,
    maxSessions: 65_536,
  });
});

test.each([
  { name: "0 as times", sessionIdConfig: { evictionTtlSeconds: 0, evictionSweepSeconds: 0 } },
  { name: "no sources", sessionIdConfig: { sources: [] } },
])("$name count as not given", ({ sessionIdConfig }) => {
  expect(read({ ...remembered, sessionIdConfig })).toEqual(read(remembered));
});

test("a header's name is trimmed and read in lower case; a blank one counts as not given", () => {
  const header = (name: string) => read({ encodedEndpointHeaderConfig: { header: name } });
  expect(header(" X-Token ")).toMatchObject({ header: "x-token" });
  expect(header(" ")).toMatchObject({ header: "x-session-token" });
});

test("sources are read in their order, and the session attribute has its usual producer", () => {
  const sources = [
    { header: "X-Session" },
    { attribute: "agent-identity" },
    { attribute: "SessionIDDataKey" },
    { attribute: "SessionIDDataKey", producer: "by-cookie" },
    { header: "", attribute: "Other", producer: "p" },
  ];
  const params = read({ ...remembered, sessionIdConfig: { sources } });
  const other = expect.objectContaining({ id: "Other/p", scope: "request" });
  const attributes = [AGENT_IDENTITY, SESSION_ID.from("session-id-producer"), SESSION_ID.from("by-cookie"), other];
  expect(params).toMatchObject({
    sources: [{ header: "x-session" }, ...attributes.map((attribute) => ({ attribute }))],
  });
  expect(sessionAffinityConsumes(params)).toEqual({ optional: attributes });
});

test("a token needs no data of the request and leaves none", () => {
  expect(sessionAffinityConsumes(read({}))).toEqual({});
  expect(sessionAffinityProduces(read({}), "a")).toEqual([]);
  expect(sessionAffinityProduces(read(remembered), "a").map(({ id }) => id)).toEqual(["SessionAffinityChoice/a"]);
});

const idConfig = (sessionIdConfig: unknown) => ({ ...remembered, sessionIdConfig });

test.each([
  { given: { strategy: "" }, problem: 'strategy: must be one of "encoded_endpoint_header", "session_id"' },
  { given: { strategy: "cookie" }, problem: "strategy: must be one of" },
  { given: { profileName: 1 }, problem: "profileName: must be text: put it in quotes" },
  { given: { header: "x" }, problem: "header: no such parameter" },
  { given: { encodedEndpointHeaderConfig: "x" }, problem: "encodedEndpointHeaderConfig: must be a map" },
  { given: { encodedEndpointHeaderConfig: { header: "a b" } }, problem: "header: must be the name of a header" },
  { given: { encodedEndpointHeaderConfig: { name: "a" } }, problem: "encodedEndpointHeaderConfig.name: no such" },
  { given: idConfig({ sources: {} }), problem: "sessionIdConfig.sources: must be a list" },
  { given: idConfig({ sources: [{}] }), problem: "sources.0: needs exactly one of header and attribute, not none" },
  {
    given: idConfig({ sources: [{ header: "a" }, { header: "a", attribute: "b" }] }),
    problem: "sources.1: needs exactly one of header and attribute, not both",
  },
  {
    given: idConfig({ sources: [{ header: "a", producer: "b" }] }),
    problem: "sources.0.producer: belongs to an attribute",
  },
  { given: idConfig({ sources: [{ header: "a:" }] }), problem: "sources.0.header: must be the name of a header" },
  { given: idConfig({ sources: [{ attribute: 1 }] }), problem: "sources.0.attribute: must be text" },
  { given: idConfig({ sources: [{ header: "a", cookie: "b" }] }), problem: "sources.0.cookie: no such parameter" },
  {
    given: idConfig({ sources: [{ attribute: WAITING_QUEUE_SIZE.dataType, producer: WAITING_QUEUE_SIZE.producer }] }),
    problem: "sources.0.attribute: names no data of requests",
  },
  { given: idConfig({ evictionTtlSeconds: -1 }), problem: "evictionTtlSeconds: must be a number from 0 to 31536000" },
  { given: idConfig({ evictionTtlSeconds: "5m" }), problem: "evictionTtlSeconds: must be a number" },
  { given: idConfig({ evictionSweepSeconds: 0.01 }), problem: "must be 0 or a number from 0.1 to 86400" },
  { given: idConfig({ maxSessions: 0 }), problem: "maxSessions: must be a whole number from 1 to 10000000" },
  { given: idConfig({ maxSessions: 1.5 }), problem: "maxSessions: must be a whole number" },
  // Settings of the strategy that is not chosen.
  { given: { sessionIdConfig: { maxSessions: 0 } }, problem: "sessionIdConfig.maxSessions: " },
])("$problem is the answer to $given", ({ given, problem }) => {
  const { problems } = outcomeOf(given);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test("all problems are reported together, and nothing that is no map is parameters", () => {
  expect(outcomeOf({ strategy: "x", profileName: 1, sessionIdConfig: { maxSessions: 0 } }).problems).toHaveLength(3);
  expect(outcomeOf([]).problems).toEqual([": must be a map"]);
});
