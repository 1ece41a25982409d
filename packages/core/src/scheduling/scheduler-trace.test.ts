import { expect, test } from "vitest";
import { buildScheduler } from "../../test/build-scheduler.ts";
import { buildEndpoint, buildRequest, FakeClock, named } from "../../test/testkit.ts";
import { DecisionLog } from "../decision/decision-log.ts";
import { type DecisionTrace, maxRecordedEndpoints } from "../decision/decision-record.ts";
import { describeDecision, type ProfileView } from "../decision/describe-decision.ts";
import type { Filter, Picker, Scorer } from "../plugin/scheduling-plugins.ts";
import type { SchedulingProfile } from "./scheduler.ts";

const newTrace = (): DecisionTrace => new DecisionLog(1, new FakeClock()).begin()!;

const upward: Scorer = { score: (_request, list, out) => out.set(list.map(({ slot }) => slot / 100)) };
const even = named<Filter>({ filter: (_request, list) => list.filter(({ slot }) => slot % 2 === 0) }, "even-filter");

function decide(profile: Partial<SchedulingProfile>, count: number): { trace: DecisionTrace; view: ProfileView } {
  const { scheduler } = buildScheduler([profile]);
  const trace = newTrace();
  scheduler.schedule(
    buildRequest(),
    Array.from({ length: count }, (_, slot) => buildEndpoint(slot)),
    trace,
  );
  return { trace, view: describeDecision(trace).profiles[0]! };
}

test("a record names what each filter removed, each clamped score, the totals and the targets", () => {
  const wild = named<Scorer>({ score: (_request, list, out) => out.set(list.map(({ slot }) => slot - 1)) }, "wild");
  const { trace, view } = decide({ filters: [even], scorers: [{ plugin: wild, weight: 2 }] }, 4);
  expect(trace.primaryProfile).toBe("default");
  expect(view).toMatchObject({
    profile: "default",
    primary: true,
    filters: [
      { plugin: { name: "even-filter" }, before: 4, after: 2, removed: ["default/server-1", "default/server-3"] },
    ],
    picker: { name: "best-picker" },
    targets: ["default/server-2"],
    winner: "default/server-2",
    runnerUp: "default/server-0",
    error: undefined,
  });
  expect(view.candidates.map(({ endpoint, total, scores }) => [endpoint, total, scores[0]!.score])).toEqual([
    ["default/server-2", 2, 1],
    ["default/server-0", 0, 0],
  ]);
});

test("a record tells at each of the profile handler's turns which profiles it named, and which one is for prefill", () => {
  const { scheduler } = buildScheduler([{ name: "decode" }, { name: "prefill" }]);
  const trace = newTrace();
  scheduler.schedule(buildRequest(), [buildEndpoint(0)], trace);
  const turns = describeDecision(trace).stages.filter(({ stage }) => stage === "ProfilePicker");
  expect(turns.map(({ plugin, profiles }) => [plugin?.name, profiles])).toEqual([
    ["all-profiles-handler", ["decode", "prefill"]],
    ["all-profiles-handler", []],
  ]);
  expect(describeDecision(trace).profiles.map(({ profile, primary, prefill }) => [profile, primary, prefill])).toEqual([
    ["decode", true, false],
    ["prefill", false, true],
  ]);
});

test("a profile that failed in its filters keeps its candidates, without totals or runner-up", () => {
  const none = named<Filter>({ filter: () => [] }, "none-filter");
  const { trace, view } = decide({ filters: [even, none], scorers: [{ plugin: named(upward), weight: 1 }] }, 4);
  expect(view).toMatchObject({
    error: "no endpoints available for the given request",
    picker: undefined,
    targets: [],
    winner: undefined,
    runnerUp: undefined,
  });
  expect(view.filters.map(({ before, after }) => [before, after])).toEqual([
    [4, 2],
    [2, 0],
  ]);
  expect(view.candidates.map(({ total, scores }) => [total, scores])).toEqual(Array(4).fill([0, []]));
  expect(trace.primaryProfile).toBeUndefined();
});

test("a profile whose picker failed keeps the scores of those who passed the filters", () => {
  const { view } = decide(
    {
      filters: [even],
      scorers: [{ plugin: named(upward, "upward"), weight: 10 }],
      picker: named<Picker>({ pick: () => [] }, "idle-picker"),
    },
    5,
  );
  expect(view.candidates.map(({ endpoint, total, scores }) => [endpoint, total, scores[0]!.contribution])).toEqual([
    ["default/server-4", 0.4, 0.4],
    ["default/server-2", 0.2, 0.2],
    ["default/server-0", 0, 0],
  ]);
  expect(view.runnerUp).toBeUndefined();
});

test.each([
  { name: "that succeeded", profile: { scorers: [{ plugin: named(upward), weight: 1 }] } },
  { name: "that failed", profile: { filters: [named<Filter>({ filter: () => [] }, "none-filter")] } },
])("a record of a large profile $name keeps a bounded number of candidates", ({ profile }) => {
  const { view } = decide(profile, 100);
  expect(view.candidates).toHaveLength(maxRecordedEndpoints);
  expect(view.filters.every(({ removed }) => removed.length <= 16)).toBe(true);
});

test("the endpoint picked is in the record, however low its total", () => {
  const last: Picker = { pick: (_request, list) => [list[0]!] };
  const { view } = decide({ scorers: [{ plugin: named(upward), weight: 1 }], picker: named(last, "last-picker") }, 100);
  expect(view.winner).toBe("default/server-0");
  expect(view.candidates).toHaveLength(maxRecordedEndpoints);
  expect(view.candidates.at(-1)).toMatchObject({ endpoint: "default/server-0", total: 0 });
  expect(view.runnerUp).toBe("default/server-99");
});
