import { type AnyPluginDefinition, type Endpoint, hasRole, type PluginInstance, type Scorer } from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { imprintOf } from "./endpoint-imprint.ts";
import { shuffled } from "./shuffled.ts";
import {
  blankSituations,
  type Situation,
  type SituationOptions,
  situations,
  twinSituations,
  withPlugin,
} from "./situation.ts";

/** What {@link scorerContract} takes beside the definition. */
export interface ScorerContractOptions extends SituationOptions {
  /** Endpoints that are alike may score by their place in the list: only the set of scores must not depend on the order. */
  readonly positional?: boolean;
}

/** Registers the tests every scorer must pass. Call it at the top of a test file. */
export function scorerContract(definition: AnyPluginDefinition, options: ScorerContractOptions = {}): void {
  registerChecks(`scorer contract of ${definition.type}`, scorerChecks(definition, options));
}

/** The tests of {@link scorerContract}, for those who run them another way. */
export function scorerChecks(
  definition: AnyPluginDefinition,
  options: ScorerContractOptions = {},
): readonly ContractCheck[] {
  const score = (situation: Situation, endpoints: readonly Endpoint[] = situation.endpoints): Promise<Float64Array> =>
    withPlugin(definition, options, situation.seed, ({ instance }) => runScorer(instance, situation, endpoints));

  const checks: ContractCheck[] = [
    {
      name: "scores are numbers from 0 to 1",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            for (const value of await score(situation)) expectScore(value);
          }),
        ),
    },
    {
      name: "an endpoint alone gets a number from 0 to 1",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options, 1), async (situation) => {
            for (const value of await score(situation)) expectScore(value);
          }),
        ),
    },
    {
      name: "writes nothing outside the array it is given",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const n = situation.endpoints.length;
            const guarded = new Float64Array(n + 2).fill(-7);
            guarded.fill(0, 1, n + 1);
            await withPlugin(definition, options, situation.seed, ({ instance }) =>
              scorerOf(instance).score(situation.newRequest(), situation.endpoints, guarded.subarray(1, n + 1)),
            );
            expect([guarded[0], guarded[n + 1]]).toEqual([-7, -7]);
          }),
        ),
    },
    {
      name: "changes neither the list nor the endpoints",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const before = imprintOf(situation.endpoints);
            await score(situation, Object.freeze([...situation.endpoints]));
            expect(imprintOf(situation.endpoints)).toEqual(before);
          }),
        ),
    },
    {
      name: "the same seed gives the same scores",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            expect(await score(situation)).toEqual(await score(situation));
          }),
        ),
    },
    {
      name: "scores depend on this request's endpoints, not on the length of the list before",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), situations(options), async (one, other) => {
            const expected = await score(one);
            await withPlugin(definition, options, one.seed, ({ instance }) => {
              runScorer(instance, other, other.endpoints);
              expect(runScorer(instance, one, one.endpoints)).toEqual(expected);
            });
          }),
        ),
    },
    {
      name:
        options.positional === true ? "the set of scores does not depend on the order" : "scores follow the endpoint",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), fc.nat(), async (situation, orderSeed) => {
            const reordered = shuffled(situation.endpoints, orderSeed);
            const before = await score(situation);
            const after = await score(situation, reordered);
            if (options.positional === true) {
              expect(after.toSorted()).toEqual(before.toSorted());
            } else {
              expect(byId(reordered, after)).toEqual(byId(situation.endpoints, before));
            }
          }),
        ),
    },
  ];
  if ((options.signals ?? []).length > 0) checks.push(...knowledgeChecks(options, score));
  return checks;
}

/** Checks on what a scorer makes of data it does not have. */
function knowledgeChecks(
  options: ScorerContractOptions,
  score: (situation: Situation) => Promise<Float64Array>,
): readonly ContractCheck[] {
  const checks: ContractCheck[] = [
    {
      name: "stale data never scores above the same data fresh",
      run: () =>
        fc.assert(
          fc.asyncProperty(twinSituations(options), async (situation) => {
            const { endpoints } = situation;
            const scores = await score(situation);
            const of = (endpoint: Endpoint): number => scores[endpoints.indexOf(endpoint)]!;
            expect(of(situation.stale)).toBeLessThanOrEqual(of(situation.fresh));
          }),
        ),
    },
    {
      name: "an endpoint of which nothing is known never scores best",
      run: () =>
        fc.assert(
          fc.asyncProperty(twinSituations(options), async (situation) => {
            const { endpoints } = situation;
            const scores = await score(situation);
            const known = endpoints.flatMap((endpoint, i) =>
              endpoint === situation.stale || endpoint === situation.unknown ? [] : [scores[i]!],
            );
            expect(scores[endpoints.indexOf(situation.unknown)]).toBeLessThanOrEqual(Math.max(...known));
          }),
        ),
    },
  ];
  if (options.positional !== true) {
    checks.push({
      name: "endpoints of which nothing is known score alike",
      run: () =>
        fc.assert(
          fc.asyncProperty(blankSituations(options), async (situation) => {
            expect(new Set(await score(situation)).size).toBe(1);
          }),
        ),
    });
  }
  return checks;
}

function expectScore(value: number): void {
  expect(value).toBeGreaterThanOrEqual(0);
  expect(value).toBeLessThanOrEqual(1);
}

function byId(endpoints: readonly Endpoint[], scores: Float64Array): Readonly<Record<string, number>> {
  return Object.fromEntries(endpoints.map((endpoint, i) => [endpoint.id, scores[i]!]));
}

function runScorer(instance: PluginInstance, situation: Situation, endpoints: readonly Endpoint[]): Float64Array {
  const out = new Float64Array(endpoints.length);
  scorerOf(instance).score(situation.newRequest(), endpoints, out);
  return out;
}

function scorerOf(instance: PluginInstance): Scorer {
  if (!hasRole(instance, "scorer")) throw new Error("the instance has no method `score`");
  return instance;
}
