import { type AnyPluginDefinition, type Endpoint, hasRole, type PluginInstance, type Screener } from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { imprintOf } from "./endpoint-imprint.ts";
import { shuffled } from "./shuffled.ts";
import { type Situation, type SituationOptions, situations, withPlugin } from "./situation.ts";

/** What {@link screenerContract} takes beside the definition. */
export interface ScreenerContractOptions extends SituationOptions {
  /** Tells a new instance what it has to know before requests come, such as Kubernetes objects. */
  readonly prepare?: (instance: PluginInstance) => void;
}

/** Registers the tests every screener must pass. Call it at the top of a test file. */
export function screenerContract(definition: AnyPluginDefinition, options: ScreenerContractOptions = {}): void {
  registerChecks(`screener contract of ${definition.type}`, screenerChecks(definition, options));
}

/** The tests of {@link screenerContract}, for those who run them another way. */
export function screenerChecks(
  definition: AnyPluginDefinition,
  options: ScreenerContractOptions = {},
): readonly ContractCheck[] {
  const screen = (
    situation: Situation,
    endpoints: readonly Endpoint[] = situation.endpoints,
  ): Promise<readonly Endpoint[]> =>
    withPlugin(definition, options, situation.seed, ({ instance }) => {
      options.prepare?.(instance);
      return screenerOf(instance).screen(situation.newRequest(), endpoints);
    });
  return [
    {
      name: "keeps a part of the endpoints, each once, and adds none",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const kept = await screen(situation);
            expect(new Set(kept).size).toBe(kept.length);
            for (const endpoint of kept) expect(situation.endpoints.includes(endpoint)).toBe(true);
          }),
        ),
    },
    {
      name: "returns an empty list for an empty list",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            expect(await screen(situation, [])).toEqual([]);
          }),
        ),
    },
    {
      name: "the same seed keeps the same endpoints, in whatever order they come",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), fc.nat(), async (situation, orderSeed) => {
            const kept = ids(await screen(situation));
            expect(ids(await screen(situation))).toEqual(kept);
            expect(ids(await screen(situation, shuffled(situation.endpoints, orderSeed)))).toEqual(kept);
          }),
        ),
    },
    {
      name: "changes neither the list nor the endpoints",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const before = imprintOf(situation.endpoints);
            await screen(situation, Object.freeze([...situation.endpoints]));
            expect(imprintOf(situation.endpoints)).toEqual(before);
          }),
        ),
    },
  ];
}

function ids(endpoints: readonly Endpoint[]): readonly string[] {
  return endpoints.map((endpoint) => endpoint.id).toSorted();
}

function screenerOf(instance: PluginInstance): Screener {
  if (!hasRole(instance, "screener")) throw new Error("the instance has no method `screen`");
  return instance;
}
