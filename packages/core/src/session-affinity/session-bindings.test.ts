import fc from "fast-check";
import { expect, test } from "vitest";
import { SessionBindings } from "./session-bindings.ts";

const limits = { ttlMs: 1000, maxSessions: 3 };

test("a session stays bound until it was not used for longer than the limit", () => {
  const bindings = new SessionBindings(limits);
  bindings.bind("s", "a", 0);
  expect(bindings.endpointOf("s", 1000)).toBe("a");
  expect(bindings.endpointOf("s", 1001)).toBeUndefined();
  bindings.bind("s", "a", 900);
  expect(bindings.endpointOf("s", 1900)).toBe("a");
});

test("beyond the limit, the session used longest ago is forgotten", () => {
  const bindings = new SessionBindings(limits);
  for (const [at, session] of ["1", "2", "3", "1", "4"].entries()) bindings.bind(session, "a", at);
  expect(["1", "2", "3", "4"].map((session) => bindings.endpointOf(session, 5))).toEqual(["a", undefined, "a", "a"]);
  expect(bindings.size).toBe(3);
});

test("a sweep removes what has expired and nothing else", () => {
  const bindings = new SessionBindings(limits);
  bindings.bind("old", "a", 0);
  bindings.bind("new", "b", 500);
  bindings.sweep(1000);
  expect(bindings.size).toBe(2);
  bindings.sweep(1001);
  expect(bindings.size).toBe(1);
  expect(bindings.hasEndpoint("a")).toBe(false);
  expect(bindings.endpointOf("new", 1001)).toBe("b");
});

test("with an endpoint go its sessions", () => {
  const bindings = new SessionBindings(limits);
  bindings.bind("1", "a", 0);
  bindings.bind("2", "b", 0);
  bindings.bind("1", "b", 0);
  bindings.bind("3", "a", 0);
  bindings.forgetEndpoint("a");
  expect(bindings.endpointOf("3", 0)).toBeUndefined();
  expect(bindings.perEndpoint(9)).toEqual([{ endpoint: "b", sessions: 2 }]);
  expect(bindings.size).toBe(2);
});

test("sessions of any characters are told apart", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ unit: fc.constantFrom("a", "é", "€", "\ud800", "\udc00") }), { maxLength: 20 }),
      (sessions) => {
        const bindings = new SessionBindings({ ttlMs: 1, maxSessions: 100 });
        for (const [i, session] of sessions.entries()) bindings.bind(session, `${i}`, 0);
        for (const [i, session] of sessions.entries()) expect(bindings.endpointOf(session, 0)).toBe(`${i}`);
      },
    ),
  );
  const bindings = new SessionBindings(limits);
  bindings.bind("\ud800", "a", 0);
  expect(bindings.endpointOf("\ufffd", 0)).toBeUndefined();
  expect(bindings.endpointOf("\ud800", 0)).toBe("a");
});

test("whatever happens, it answers like a list of uses and its counts agree", () => {
  const use = fc.record({ kind: fc.constant("use"), session: fc.nat(5), endpoint: fc.nat(2), waitMs: fc.nat(400) });
  const other = fc.record({ kind: fc.constantFrom("forget", "sweep"), endpoint: fc.nat(2), waitMs: fc.nat(400) });
  fc.assert(
    fc.property(fc.array(fc.oneof(use, use, other), { maxLength: 40 }), (steps) => {
      const bindings = new SessionBindings(limits);
      let expected: { session: string; endpoint: string; atMs: number }[] = [];
      let nowMs = 0;
      for (const step of steps) {
        nowMs += step.waitMs;
        const endpoint = `e${step.endpoint}`;
        if ("session" in step) {
          const session = `s${step.session}`;
          bindings.bind(session, endpoint, nowMs);
          expected = expected.filter((one) => one.session !== session);
          expected = [...expected, { session, endpoint, atMs: nowMs }].slice(-limits.maxSessions);
        } else if (step.kind === "forget") {
          bindings.forgetEndpoint(endpoint);
          expected = expected.filter((one) => one.endpoint !== endpoint);
        } else {
          bindings.sweep(nowMs);
          expected = expected.filter(({ atMs }) => nowMs - atMs <= limits.ttlMs);
        }
        for (let i = 0; i <= 5; i++) {
          const known = expected.find(({ session, atMs }) => session === `s${i}` && nowMs - atMs <= limits.ttlMs);
          expect(bindings.endpointOf(`s${i}`, nowMs)).toBe(known?.endpoint);
        }
        expect(bindings.size).toBe(expected.length);
        expect(bindings.perEndpoint(9).reduce((sum, { sessions }) => sum + sessions, 0)).toBe(expected.length);
      }
    }),
  );
});
