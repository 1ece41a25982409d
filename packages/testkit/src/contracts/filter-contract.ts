import { type AnyPluginDefinition, type Endpoint, type Filter, hasRole, type PluginInstance } from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { imprintOf } from "./endpoint-imprint.ts";
import { shuffled } from "./shuffled.ts";
import { type Situation, type SituationOptions, situations, withPlugin } from "./situation.ts";

/** What {@link filterContract} takes beside the definition. */
export type FilterContractOptions = SituationOptions;

/** Registers the tests every filter must pass. Call it at the top of a test file. */
export function filterContract(definition: AnyPluginDefinition, options: FilterContractOptions = {}): void {
  registerChecks(`filter contract of ${definition.type}`, filterChecks(definition, options));
}

/** The tests of {@link filterContract}, for those who run them another way. */
export function filterChecks(
  definition: AnyPluginDefinition,
  options: FilterContractOptions = {},
): readonly ContractCheck[] {
  const filter = (
    situation: Situation,
    endpoints: readonly Endpoint[] = situation.endpoints,
  ): Promise<readonly Endpoint[]> =>
    withPlugin(definition, options, situation.seed, ({ instance }) =>
      filterOf(instance).filter(situation.newRequest(), endpoints),
    );

  return [
    {
      name: "keeps a part of the endpoints, in their order, and adds none",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const kept = await filter(situation);
            const positions = kept.map((endpoint) => situation.endpoints.indexOf(endpoint));
            expect(positions).not.toContain(-1);
            for (let i = 1; i < positions.length; i++) expect(positions[i]).toBeGreaterThan(positions[i - 1]!);
          }),
        ),
    },
    {
      name: "returns the same array when all stay",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const { endpoints } = situation;
            const kept = await filter(situation);
            if (kept.length === endpoints.length) expect(kept === endpoints).toBe(true);
          }),
        ),
    },
    {
      name: "returns an empty list for an empty list",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            expect(await filter(situation, [])).toEqual([]);
          }),
        ),
    },
    {
      name: "changes neither the list nor the endpoints",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const before = imprintOf(situation.endpoints);
            await filter(situation, Object.freeze([...situation.endpoints]));
            expect(imprintOf(situation.endpoints)).toEqual(before);
          }),
        ),
    },
    {
      name: "the same seed keeps the same endpoints",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            expect(ids(await filter(situation))).toEqual(ids(await filter(situation)));
          }),
        ),
    },
    {
      name: "what stays does not depend on the order",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), fc.nat(), async (situation, orderSeed) => {
            const reordered = await filter(situation, shuffled(situation.endpoints, orderSeed));
            expect(ids(reordered).toSorted()).toEqual(ids(await filter(situation)).toSorted());
          }),
        ),
    },
    {
      name: "what stays depends on this request's endpoints, not on the list before",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), situations(options), async (one, other) => {
            const expected = ids(await filter(one));
            await withPlugin(definition, options, one.seed, ({ instance }) => {
              const kept = filterOf(instance).filter(one.newRequest(), one.endpoints);
              filterOf(instance).filter(other.newRequest(), other.endpoints);
              // Looked at after the second call: an array used again would show it.
              expect(ids(kept)).toEqual(expected);
            });
          }),
        ),
    },
  ];
}

function ids(endpoints: readonly Endpoint[]): readonly string[] {
  return endpoints.map((endpoint) => endpoint.id);
}

function filterOf(instance: PluginInstance): Filter {
  if (!hasRole(instance, "filter")) throw new Error("the instance has no method `filter`");
  return instance;
}
