import { type AnyPluginDefinition, type Endpoint, hasRole } from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { imprintOf } from "./endpoint-imprint.ts";
import { shuffled } from "./shuffled.ts";
import { type Situation, type SituationOptions, situationNowMs, situations, withPlugin } from "./situation.ts";

/** What {@link saturationDetectorContract} takes beside the definition. */
export type SaturationDetectorContractOptions = SituationOptions;

/** Registers the tests every saturation detector must pass. Call it at the top of a test file. */
export function saturationDetectorContract(
  definition: AnyPluginDefinition,
  options: SaturationDetectorContractOptions = {},
): void {
  registerChecks(`saturation detector contract of ${definition.type}`, saturationDetectorChecks(definition, options));
}

/** The tests of {@link saturationDetectorContract}, for those who run them another way. */
export function saturationDetectorChecks(
  definition: AnyPluginDefinition,
  options: SaturationDetectorContractOptions = {},
): readonly ContractCheck[] {
  const saturation = (situation: Situation, endpoints: readonly Endpoint[]): Promise<number> =>
    withPlugin(definition, options, situation.seed, ({ instance }) => {
      if (!hasRole(instance, "saturationDetector")) throw new Error("the instance has no method `saturation`");
      return instance.saturation(endpoints, situationNowMs);
    });
  return [
    {
      name: "saturation is finite and not below 0",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const value = await saturation(situation, situation.endpoints);
            expect(Number.isFinite(value)).toBe(true);
            expect(value).toBeGreaterThanOrEqual(0);
          }),
        ),
    },
    {
      name: "an empty pool is saturated",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            expect(await saturation(situation, [])).toBe(1);
          }),
        ),
    },
    {
      name: "saturation does not depend on the order",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), fc.nat(), async (situation, orderSeed) => {
            const before = await saturation(situation, situation.endpoints);
            const after = await saturation(situation, shuffled(situation.endpoints, orderSeed));
            // Sums of floating-point numbers differ in the last digits by order.
            expect(Math.abs(after - before)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(before)));
          }),
        ),
    },
    {
      name: "changes neither the list nor the endpoints",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const before = imprintOf(situation.endpoints);
            await saturation(situation, Object.freeze([...situation.endpoints]));
            expect(imprintOf(situation.endpoints)).toEqual(before);
          }),
        ),
    },
  ];
}
