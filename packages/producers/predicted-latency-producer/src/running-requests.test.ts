import type { Endpoint } from "@pointsman/core";
import { buildEndpoint } from "@pointsman/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type RunningRequest, RunningRequests } from "./running-requests.ts";

test("requests count from their decision to their end, once", () => {
  const endpoint = buildEndpoint(0);
  const running = new RunningRequests(() => [endpoint]);
  const [first, second] = [running.begin(endpoint, 50), running.begin(endpoint, undefined)];
  expect([running.count(endpoint), running.tightestTpotSloMs(endpoint)]).toEqual([2, 50]);
  running.end(first);
  running.end(first);
  expect([running.count(endpoint), running.tightestTpotSloMs(endpoint)]).toEqual([1, undefined]);
  running.end(second);
  expect([running.count(endpoint), [...running.counts()]]).toEqual([0, []]);
});

test("two endpoints of one name in different namespaces count apart", () => {
  const [one, other] = [
    buildEndpoint(0, { namespace: "a", name: "x" }),
    buildEndpoint(1, { namespace: "b", name: "x" }),
  ];
  const running = new RunningRequests(() => [one, other]);
  running.begin(one, 20);
  expect([running.count(other), running.tightestTpotSloMs(other)]).toEqual([0, undefined]);
});

test("an endpoint that comes back under its id starts at 0, and late ends do not touch it", () => {
  const [old, back] = [buildEndpoint(0), buildEndpoint(0)];
  let known = [old];
  const running = new RunningRequests(() => known);
  const late = running.begin(old, 20);
  running.endpointChanged({ type: "delete", endpoint: old });
  known = [back];
  running.begin(back, 90);
  running.end(late);
  expect([running.count(back), running.tightestTpotSloMs(back)]).toEqual([1, 90]);
  running.endpointChanged({ type: "delete", endpoint: old });
  expect(running.count(back)).toBe(1);
});

test("a decision for an endpoint that is gone is counted where nobody looks", () => {
  const endpoint = buildEndpoint(0);
  const running = new RunningRequests(() => []);
  running.end(running.begin(endpoint, 20));
  running.begin(endpoint, 20);
  expect([running.count(endpoint), [...running.counts()]]).toEqual([0, []]);
});

test("whatever begins and ends, count and tightest objective are those of what runs", () => {
  const step = fc.record({
    begin: fc.boolean(),
    e: fc.nat(2),
    slo: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    pick: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const endpoints: Endpoint[] = [0, 1, 2].map((slot) => buildEndpoint(slot));
      const running = new RunningRequests(() => endpoints);
      const open: { e: number; slo: number | undefined; request: RunningRequest }[] = [];
      for (const { begin, e, slo, pick } of steps) {
        if (begin) open.push({ e, slo, request: running.begin(endpoints[e]!, slo) });
        else if (open.length > 0) running.end(open.splice(pick % open.length, 1)[0]!.request);
        endpoints.forEach((endpoint, i) => {
          const here = open.filter((one) => one.e === i);
          const slos = here.flatMap((one) => one.slo ?? []);
          expect(running.count(endpoint)).toBe(here.length);
          expect(running.tightestTpotSloMs(endpoint)).toBe(slos.length === 0 ? undefined : Math.min(...slos));
        });
        expect([...running.counts()]).toHaveLength(new Set(open.map((one) => one.e)).size);
      }
    }),
  );
});
