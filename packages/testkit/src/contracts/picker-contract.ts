import { type AnyPluginDefinition, type Endpoint, hasRole, type Picker, type PluginInstance } from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { buildEndpoint, buildRequest } from "../builders.ts";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { imprintOf } from "./endpoint-imprint.ts";
import { situationNowMs, withPlugin } from "./situation.ts";

/** What {@link pickerContract} takes beside the definition. */
export interface PickerContractOptions {
  /** Parameters as in the configuration, checked by the plugin's schema. */
  readonly params?: unknown;
  /** Endpoints the picker returns when there are enough; 1 when absent. */
  readonly targets?: number;
}

/** Registers the tests every picker must pass. Call it at the top of a test file. */
export function pickerContract(definition: AnyPluginDefinition, options: PickerContractOptions = {}): void {
  registerChecks(`picker contract of ${definition.type}`, pickerChecks(definition, options));
}

interface Scored {
  readonly endpoints: readonly Endpoint[];
  readonly totals: readonly number[];
  readonly seed: number;
}

const totalValues = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0, 1, 2, 0.5) },
  { weight: 1, arbitrary: fc.double({ min: -10, max: 10, noNaN: true }) },
);

const scoredLists: fc.Arbitrary<Scored> = fc
  .record({ totals: fc.array(totalValues, { minLength: 1, maxLength: 12 }), seed: fc.nat() })
  .map(({ totals, seed }) => ({
    endpoints: totals.map((_, slot) => buildEndpoint(slot)),
    totals,
    seed,
    [fc.toStringMethod]: () => `{ totals: ${fc.stringify(totals)}, seed: ${seed} }`,
  }));

/** Totals whose picks are counted in two orders. */
const countedTotals = [
  [1, 1, 1, 1],
  [4, 3, 2, 1],
  [2, 2, 1, 0],
  [0, 0, 0],
  [0.2, 0.7, 0.7],
] as const;
const countedPicks = 4000;
/** Over four standard deviations of the difference of two shares of 4000 picks. */
const shareTolerance = 0.05;

/** The tests of {@link pickerContract}, for those who run them another way. */
export function pickerChecks(
  definition: AnyPluginDefinition,
  options: PickerContractOptions = {},
): readonly ContractCheck[] {
  const { targets = 1 } = options;
  const pick = ({ endpoints, totals, seed }: Scored): Promise<readonly Endpoint[]> =>
    withPlugin(definition, options, seed, ({ instance }) => runPicker(instance, endpoints, totals));
  const firstPickShares = (endpoints: readonly Endpoint[], totals: readonly number[]): Promise<Map<string, number>> =>
    withPlugin(definition, options, 1, ({ instance }) => {
      const shares = new Map(endpoints.map((endpoint) => [endpoint.id, 0]));
      for (let i = 0; i < countedPicks; i++) {
        const { id } = runPicker(instance, endpoints, totals)[0]!;
        shares.set(id, shares.get(id)! + 1 / countedPicks);
      }
      return shares;
    });

  return [
    {
      name: `picks ${targets} of the endpoints, or all when there are fewer, each once`,
      run: () =>
        fc.assert(
          fc.asyncProperty(scoredLists, async (scored) => {
            const picked = await pick(scored);
            expect(picked).toHaveLength(Math.min(targets, scored.endpoints.length));
            expect(new Set(picked).size).toBe(picked.length);
            for (const endpoint of picked) expect(scored.endpoints.includes(endpoint)).toBe(true);
          }),
        ),
    },
    {
      name: "picks an endpoint alone whatever its total",
      run: () =>
        fc.assert(
          fc.asyncProperty(totalValues, fc.nat(), async (total, seed) => {
            const endpoint = buildEndpoint(0);
            expect(await pick({ endpoints: [endpoint], totals: [total], seed })).toEqual([endpoint]);
          }),
        ),
    },
    {
      name: "changes neither the list, the endpoints nor the totals",
      run: () =>
        fc.assert(
          fc.asyncProperty(scoredLists, async ({ endpoints, totals, seed }) => {
            const before = imprintOf(endpoints);
            const given = Float64Array.from(totals);
            await withPlugin(definition, options, seed, ({ instance }) =>
              pickerOf(instance).pick(newRequest(), Object.freeze([...endpoints]), given),
            );
            expect(imprintOf(endpoints)).toEqual(before);
            expect(given).toEqual(Float64Array.from(totals));
          }),
        ),
    },
    {
      name: "the same seed picks the same endpoints",
      run: () =>
        fc.assert(
          fc.asyncProperty(scoredLists, async (scored) => {
            expect(ids(await pick(scored))).toEqual(ids(await pick(scored)));
          }),
        ),
    },
    {
      name: "a result keeps its endpoints when the next request is decided",
      run: () =>
        fc.assert(
          fc.asyncProperty(scoredLists, scoredLists, async (one, other) => {
            const expected = ids(await pick(one));
            await withPlugin(definition, options, one.seed, ({ instance }) => {
              const picked = runPicker(instance, one.endpoints, one.totals);
              runPicker(instance, other.endpoints, other.totals);
              expect(ids(picked)).toEqual(expected);
            });
          }),
        ),
    },
    {
      name: "how often an endpoint comes first does not depend on the order",
      run: async () => {
        for (const totals of countedTotals) {
          const endpoints = totals.map((_, slot) => buildEndpoint(slot));
          const given = await firstPickShares(endpoints, totals);
          const reversed = await firstPickShares(endpoints.toReversed(), totals.toReversed());
          for (const { id } of endpoints) {
            expect(Math.abs(given.get(id)! - reversed.get(id)!), `${id} of ${totals}`).toBeLessThan(shareTolerance);
          }
        }
      },
    },
  ];
}

const newRequest = (): ReturnType<typeof buildRequest> => buildRequest({ nowMs: situationNowMs });

function runPicker(
  instance: PluginInstance,
  endpoints: readonly Endpoint[],
  totals: readonly number[],
): readonly Endpoint[] {
  return pickerOf(instance).pick(newRequest(), endpoints, Float64Array.from(totals));
}

function ids(endpoints: readonly Endpoint[]): readonly string[] {
  return endpoints.map((endpoint) => endpoint.id);
}

function pickerOf(instance: PluginInstance): Picker {
  if (!hasRole(instance, "picker")) throw new Error("the instance has no method `pick`");
  return instance;
}
