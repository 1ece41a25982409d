import {
  type Admitter,
  type AnyPluginDefinition,
  type Endpoint,
  hasRole,
  httpStatusOf,
  type PluginInstance,
  RequestError,
} from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { imprintOf } from "./endpoint-imprint.ts";
import { shuffled } from "./shuffled.ts";
import { type Situation, type SituationOptions, situations, withPlugin } from "./situation.ts";

/** What {@link admitterContract} takes beside the definition. */
export type AdmitterContractOptions = SituationOptions;

/** Registers the tests every admitter must pass. Call it at the top of a test file. */
export function admitterContract(definition: AnyPluginDefinition, options: AdmitterContractOptions = {}): void {
  registerChecks(`admitter contract of ${definition.type}`, admitterChecks(definition, options));
}

/** The tests of {@link admitterContract}, for those who run them another way. */
export function admitterChecks(
  definition: AnyPluginDefinition,
  options: AdmitterContractOptions = {},
): readonly ContractCheck[] {
  const admit = (
    situation: Situation,
    endpoints: readonly Endpoint[] = situation.endpoints,
  ): Promise<RequestError | undefined> =>
    withPlugin(definition, options, situation.seed, ({ instance }) =>
      admitterOf(instance).admitRequest(situation.newRequest(), endpoints),
    );
  return [
    {
      name: "admits, or refuses with an error that tells the client why",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const denied = await admit(situation);
            if (denied === undefined) return;
            expect(denied).toBeInstanceOf(RequestError);
            expect(Object.keys(httpStatusOf)).toContain(denied.code);
            expect(denied.message).toMatch(/\S/);
          }),
        ),
    },
    {
      name: "admits when there is no endpoint to judge by",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            expect(await admit(situation, [])).toBeUndefined();
          }),
        ),
    },
    {
      name: "the same seed leads to the same answer",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            expect((await admit(situation))?.body).toBe((await admit(situation))?.body);
          }),
        ),
    },
    {
      name: "the answer does not depend on the order of the endpoints",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), fc.nat(), async (situation, orderSeed) => {
            const reordered = await admit(situation, shuffled(situation.endpoints, orderSeed));
            expect(reordered?.body).toBe((await admit(situation))?.body);
          }),
        ),
    },
    {
      name: "changes neither the list nor the endpoints",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            const before = imprintOf(situation.endpoints);
            await admit(situation, Object.freeze([...situation.endpoints]));
            expect(imprintOf(situation.endpoints)).toEqual(before);
          }),
        ),
    },
  ];
}

function admitterOf(instance: PluginInstance): Admitter {
  if (!hasRole(instance, "admitter")) throw new Error("the instance has no method `admitRequest`");
  return instance;
}
