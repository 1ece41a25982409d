import {
  type AnyPluginDefinition,
  type DisaggregationDecider,
  type Endpoint,
  hasRole,
  type PluginInstance,
} from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { imprintOf } from "./endpoint-imprint.ts";
import { type Situation, type SituationOptions, situations, withPlugin } from "./situation.ts";

/** What {@link deciderContract} takes beside the definition. */
export type DeciderContractOptions = SituationOptions;

/** Registers the tests every disaggregation decider must pass. Call it at the top of a test file. */
export function deciderContract(definition: AnyPluginDefinition, options: DeciderContractOptions = {}): void {
  registerChecks(`decider contract of ${definition.type}`, deciderChecks(definition, options));
}

/** The tests of {@link deciderContract}, for those who run them another way. */
export function deciderChecks(
  definition: AnyPluginDefinition,
  options: DeciderContractOptions = {},
): readonly ContractCheck[] {
  const decide = (situation: Situation, target: Endpoint | undefined): Promise<unknown> =>
    withPlugin(definition, options, situation.seed, ({ instance }) =>
      deciderOf(instance).disaggregate(situation.newRequest(), target),
    );
  return [
    {
      name: "answers yes or no for every endpoint, and before one is chosen",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            for (const target of [...situation.endpoints, undefined]) {
              expect(await decide(situation, target)).toEqual(expect.any(Boolean));
            }
          }),
        ),
    },
    {
      name: "the same request and endpoint get the same answer",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const [target] = situation.endpoints;
            expect(await decide(situation, target)).toBe(await decide(situation, target));
          }),
        ),
    },
    {
      name: "answers for this request, not for one before",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), situations(options), async (one, other) => {
            const expected = await decide(one, one.endpoints[0]);
            await withPlugin(definition, options, one.seed, ({ instance }) => {
              deciderOf(instance).disaggregate(other.newRequest(), other.endpoints[0]);
              expect(deciderOf(instance).disaggregate(one.newRequest(), one.endpoints[0])).toBe(expected);
            });
          }),
        ),
    },
    {
      name: "changes neither the endpoint nor the headers",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const before = imprintOf(situation.endpoints);
            await withPlugin(definition, options, situation.seed, ({ instance }) => {
              const request = situation.newRequest();
              deciderOf(instance).disaggregate(request, situation.endpoints[0]);
              expect(request.upstreamHeaders.size).toBe(0);
            });
            expect(imprintOf(situation.endpoints)).toEqual(before);
          }),
        ),
    },
  ];
}

function deciderOf(instance: PluginInstance): DisaggregationDecider {
  if (!hasRole(instance, "disaggregationDecider")) throw new Error("the instance has no method `disaggregate`");
  return instance;
}
