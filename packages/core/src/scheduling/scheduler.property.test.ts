import fc from "fast-check";
import { expect, test } from "vitest";
import { bestPicker, buildScheduler } from "../../test/build-scheduler.ts";
import { buildEndpoint, buildRequest, named, seededRandom } from "../../test/testkit.ts";
import type { Endpoint } from "../endpoint.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { Filter, Picker, ProfileResult, SchedulingResult, Scorer } from "../plugin/scheduling-plugins.ts";
import { RequestError } from "../request-error.ts";
import type { WeightedScorer } from "./scheduler.ts";

interface Situation {
  /** Scores of one scorer by slot, as a plugin may give them. */
  readonly scorers: readonly { readonly weight: number; readonly scores: readonly number[] }[];
  /** Slots that each filter keeps. */
  readonly filters: readonly (readonly boolean[])[];
  /** Slots in the order in which the endpoints are handed in. */
  readonly order: readonly number[];
}

const anyScore = fc.oneof(
  { weight: 4, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 0.5, 1) },
  { weight: 1, arbitrary: fc.double() },
);

const situations: fc.Arbitrary<Situation> = fc.integer({ min: 1, max: 12 }).chain((count) => {
  const perSlot = <T>(values: fc.Arbitrary<T>) => fc.array(values, { minLength: count, maxLength: count });
  return fc.record({
    scorers: fc.array(fc.record({ weight: fc.double({ min: 0, max: 100, noNaN: true }), scores: perSlot(anyScore) }), {
      maxLength: 5,
    }),
    filters: fc.array(
      perSlot(fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })),
      { maxLength: 4 },
    ),
    order: fc.shuffledSubarray([...Array(count).keys()], { minLength: count, maxLength: count }),
  });
});

function scorersOf({ scorers }: Situation): readonly WeightedScorer[] {
  return scorers.map(({ weight, scores }, i) => {
    const instance: Scorer = {
      score: (_request, endpoints, out) => out.set(endpoints.map(({ slot }) => scores[slot]!)),
    };
    return { plugin: named(instance, `scorer-${i}`), weight };
  });
}

function filtersOf({ filters }: Situation, seen?: (readonly Endpoint[])[]): readonly NamedPlugin<Filter>[] {
  return filters.map((keep, i) => {
    const instance: Filter = {
      filter: (_request, endpoints) => {
        seen?.push(endpoints);
        return endpoints.filter((endpoint) => keep[endpoint.slot]);
      },
    };
    return named(instance, `filter-${i}`);
  });
}

/** The documented rule, for one endpoint: the sum of clamped scores times weights, NaN counting as 0. */
function totalOf({ scorers }: Situation, slot: number): number {
  return scorers.reduce((sum, { weight, scores }) => {
    const score = scores[slot]!;
    return sum + (Number.isNaN(score) ? 0 : Math.min(1, Math.max(0, score))) * weight;
  }, 0);
}

function endpointsOf({ order }: Situation): readonly Endpoint[] {
  return order.map((slot) => buildEndpoint(slot));
}

function survivorsOf({ filters, order }: Situation): readonly number[] {
  return order.filter((slot) => filters.every((keep) => keep[slot]));
}

function onlyResult(outcome: SchedulingResult | RequestError): ProfileResult {
  if (outcome instanceof RequestError) throw new Error(outcome.body);
  return outcome.profiles.get(outcome.primaryProfile)!;
}

test("a total is the sum of clamped scores times weights, for each endpoint that passed the filters", () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const survivors = survivorsOf(situation);
      fc.pre(survivors.length > 0);
      const { scheduler } = buildScheduler([{ filters: filtersOf(situation), scorers: scorersOf(situation) }]);
      const result = onlyResult(scheduler.schedule(buildRequest(), endpointsOf(situation), undefined));
      expect(result.candidates.map((endpoint) => endpoint.slot)).toEqual(survivors);
      expect([...result.totals]).toEqual(survivors.map((slot) => totalOf(situation, slot)));
    }),
  );
});

test("the order of the endpoints decides neither totals nor who can win", () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const survivors = survivorsOf(situation);
      fc.pre(survivors.length > 0);
      const best = Math.max(...survivors.map((slot) => totalOf(situation, slot)));
      const winners = survivors.filter((slot) => totalOf(situation, slot) === best).sort((a, b) => a - b);
      const { scheduler } = buildScheduler([{ filters: filtersOf(situation), scorers: scorersOf(situation) }]);
      const sorted = { ...situation, order: situation.order.toSorted((a, b) => a - b) };
      for (const arrangement of [situation, sorted, { ...situation, order: situation.order.toReversed() }]) {
        const result = onlyResult(scheduler.schedule(buildRequest(), endpointsOf(arrangement), undefined));
        expect(winners).toContain(result.targets[0]!.slot);
        const totals = new Map(result.candidates.map((endpoint, i) => [endpoint.slot, result.totals[i]]));
        for (const slot of survivors) expect(totals.get(slot)).toBe(totalOf(situation, slot));
      }
    }),
  );
});

test("a unique best endpoint wins in every order", () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const survivors = survivorsOf(situation);
      fc.pre(survivors.length > 0);
      const ranked = survivors.toSorted((a, b) => totalOf(situation, b) - totalOf(situation, a));
      fc.pre(ranked.length === 1 || totalOf(situation, ranked[0]!) > totalOf(situation, ranked[1]!));
      const { scheduler } = buildScheduler([{ filters: filtersOf(situation), scorers: scorersOf(situation) }]);
      const result = onlyResult(scheduler.schedule(buildRequest(), endpointsOf(situation), undefined));
      expect(result.targets.map((endpoint) => endpoint.slot)).toEqual([ranked[0]]);
    }),
  );
});

test("each filter sees what the one before kept, nothing is added, and none runs on an empty list", () => {
  fc.assert(
    fc.property(situations, (situation) => {
      const seen: (readonly Endpoint[])[] = [];
      const endpoints = endpointsOf(situation);
      const { scheduler } = buildScheduler([{ filters: filtersOf(situation, seen), scorers: scorersOf(situation) }]);
      const outcome = scheduler.schedule(buildRequest(), endpoints, undefined);
      let left: readonly Endpoint[] = endpoints;
      const expected: (readonly Endpoint[])[] = [];
      for (const keep of situation.filters) {
        if (left.length === 0) break;
        expected.push(left);
        left = left.filter((endpoint) => keep[endpoint.slot]);
      }
      expect(seen).toEqual(expected);
      if (left.length === 0) {
        expect(outcome).toMatchObject({
          code: "ResourceExhausted",
          message: "no endpoints available for the given request",
          reason: "rejected-saturated",
        });
      } else {
        const result = onlyResult(outcome);
        expect(result.candidates).toEqual(left);
        for (const target of result.targets) expect(left).toContain(target);
      }
    }),
  );
});

test("equal totals reach the picker as equals: one that shuffles spreads them evenly over all orders", () => {
  const random = seededRandom(7);
  const shufflingPicker: NamedPlugin<Picker> = named(
    {
      pick: (request, endpoints, totals) => {
        const at = [...endpoints.keys()];
        for (let i = at.length - 1; i > 0; i--) {
          const j = Math.floor(random() * (i + 1));
          [at[i], at[j]] = [at[j]!, at[i]!];
        }
        const shuffled = at.map((i) => endpoints[i]!);
        return bestPicker.instance.pick(
          request,
          shuffled,
          Float64Array.from(at, (i) => totals[i]!),
        );
      },
    },
    "shuffling-picker",
  );
  // Slots 0 to 3 tie at 0.75, reached in different ways; slot 4 is behind.
  const situation: Situation = {
    scorers: [
      { weight: 1, scores: [0.5, 0.25, 0.75, 0, 0.5] },
      { weight: 0.5, scores: [0.5, 1, 0, 1.5, 0] },
      { weight: 0.25, scores: [0, 0, 0, 1, 0.5] },
    ],
    filters: [],
    order: [4, 2, 0, 3, 1],
  };
  const { scheduler } = buildScheduler([{ scorers: scorersOf(situation), picker: shufflingPicker }]);
  const wins = [0, 0, 0, 0, 0];
  for (let run = 0; run < 4000; run++) {
    const { targets } = onlyResult(scheduler.schedule(buildRequest(), endpointsOf(situation), undefined));
    wins[targets[0]!.slot]!++;
  }
  expect(wins[4]).toBe(0);
  // Binomial with n = 4000, p = 1/4: one standard deviation is 27.
  for (const count of wins.slice(0, 4)) expect(Math.abs(count - 1000)).toBeLessThan(140);
});
