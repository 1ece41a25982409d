import { expect, test } from "vitest";
import { buildEndpoint } from "../../test/testkit.ts";
import type { Endpoint } from "../endpoint.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import { prefillTarget } from "./prefill-target.ts";

const [first, second, third] = [buildEndpoint(0), buildEndpoint(1), buildEndpoint(2)];

/** What profiles chose; the first one is the primary. */
function chosen(profiles: Readonly<Record<string, readonly Endpoint[]>>, prefillProfile?: string): SchedulingResult {
  const results = Object.entries(profiles).map(
    ([name, targets]) => [name, { targets, candidates: targets, totals: new Float64Array(targets.length) }] as const,
  );
  return {
    primaryProfile: results[0]![0],
    profiles: new Map(results),
    ...(prefillProfile === undefined ? {} : { prefillProfile }),
  };
}

test.each([
  { name: "the profile named prefill", profiles: { a: [first], prefill: [second, third] }, expected: second },
  { name: "nothing without such a profile", profiles: { a: [first], b: [second] }, expected: undefined },
  { name: "nothing when it is the primary one", profiles: { prefill: [first], b: [second] }, expected: undefined },
])("the handler names no prefill profile: $name", ({ profiles, expected }) => {
  expect(prefillTarget(chosen(profiles))).toBe(expected);
});

test.each([
  { name: "its first target", profiles: { a: [first], prefill: [third], b: [second] }, expected: second },
  { name: "nothing when it did not run", profiles: { a: [first], prefill: [third] }, expected: undefined },
  { name: "nothing when it is the primary one", profiles: { b: [second], prefill: [third] }, expected: undefined },
])("the handler names profile b: $name", ({ profiles, expected }) => {
  expect(prefillTarget(chosen(profiles, "b"))).toBe(expected);
});
