import { expect, test } from "vitest";
import { buildEndpoint, buildRequest } from "../../test/testkit.ts";
import type { Endpoint } from "../endpoint.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import { prefillTarget } from "./prefill-target.ts";

const [first, second, third] = [buildEndpoint(0), buildEndpoint(1), buildEndpoint(2)];

/** What profiles chose; the first one is the primary. */
function chosen(profiles: Readonly<Record<string, readonly Endpoint[]>>): SchedulingResult {
  const results = Object.entries(profiles).map(
    ([name, targets]) => [name, { targets, candidates: targets, totals: new Float64Array(targets.length) }] as const,
  );
  return { primaryProfile: results[0]![0], profiles: new Map(results) };
}

function announcing(hostPort: string | undefined) {
  const request = buildRequest();
  if (hostPort !== undefined) request.upstreamHeaders.set("x-prefiller-host-port", hostPort);
  return request;
}

test.each([
  { name: "the profile named prefill", profiles: { a: [first], prefill: [second, third] }, expected: second },
  { name: "nothing without such a profile", profiles: { a: [first], b: [second] }, expected: undefined },
  { name: "nothing when it is the primary one", profiles: { prefill: [first], b: [second] }, expected: undefined },
])("nothing announced: $name", ({ profiles, expected }) => {
  expect(prefillTarget(announcing(undefined), chosen(profiles))).toBe(expected);
});

test.each([
  { name: "the profile that chose it", profiles: { a: [first], prefill: [third], b: [second] }, expected: second },
  { name: "nothing when no profile chose it first", profiles: { a: [first], b: [third, second] }, expected: undefined },
  { name: "nothing when it is the primary target", profiles: { a: [second], b: [third] }, expected: undefined },
])("announced to the sidecar: $name", ({ profiles, expected }) => {
  expect(prefillTarget(announcing(second.hostPort), chosen(profiles))).toBe(expected);
});
