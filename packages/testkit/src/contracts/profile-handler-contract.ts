import {
  type AnyPluginDefinition,
  type Endpoint,
  hasRole,
  type InferenceRequest,
  type PluginInstance,
  type ProfileHandler,
  type ProfileResult,
  RequestError,
  type SchedulingResult,
} from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { buildEndpoint, buildRequest, type RequestOptions } from "../builders.ts";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { situationNowMs, withPlugin } from "./situation.ts";

/** What {@link profileHandlerContract} takes beside the definition. */
export interface ProfileHandlerContractOptions {
  /** Parameters as in the configuration, checked by the plugin's schema. */
  readonly params?: unknown;
  /** Configured profiles that suit the handler. */
  readonly profiles: readonly string[];
  /** Requests the handler meets; a plain one when absent. */
  readonly request?: (endpoints: readonly Endpoint[]) => fc.Arbitrary<RequestOptions>;
}

/** Registers the tests every profile handler must pass. Call it at the top of a test file. */
export function profileHandlerContract(definition: AnyPluginDefinition, options: ProfileHandlerContractOptions): void {
  registerChecks(`profile handler contract of ${definition.type}`, profileHandlerChecks(definition, options));
}

interface Case {
  readonly request: RequestOptions;
  /** What each profile comes to if it runs. */
  readonly outcomes: ReadonlyMap<string, ProfileResult | RequestError>;
  readonly seed: number;
}

interface CycleOutcome {
  readonly results: ReadonlyMap<string, ProfileResult | RequestError>;
  readonly decision: SchedulingResult | RequestError;
}

/** The tests of {@link profileHandlerContract}, for those who run them another way. */
export function profileHandlerChecks(
  definition: AnyPluginDefinition,
  options: ProfileHandlerContractOptions,
): readonly ContractCheck[] {
  const cases = casesOf(options);
  const cycle = (one: Case): Promise<CycleOutcome> =>
    withPlugin(definition, options, one.seed, ({ instance }) => {
      const request = buildRequest({ nowMs: situationNowMs, ...one.request });
      return runCycle(handlerOf(instance), request, options.profiles, one.outcomes);
    });
  return [
    {
      name: "accepts the profiles it is made for, and says what is wrong with none at all",
      run: () =>
        withPlugin(definition, options, 1, ({ instance }) => {
          const handler = handlerOf(instance);
          expect(handler.checkProfiles?.(options.profiles)).toBeUndefined();
          if (handler.checkProfiles !== undefined) expect(handler.checkProfiles([])).toEqual(expect.any(String));
        }),
    },
    {
      name: "runs configured profiles only, each at most once, and comes to an end",
      run: () =>
        fc.assert(
          fc.asyncProperty(cases, async (one) => {
            await cycle(one);
          }),
        ),
    },
    {
      name: "a decision names a primary profile that chose an endpoint, and no failed profile",
      run: () =>
        fc.assert(
          fc.asyncProperty(cases, async (one) => {
            const { results, decision } = await cycle(one);
            if (decision instanceof RequestError) return;
            expect([...decision.profiles.keys()]).toContain(decision.primaryProfile);
            for (const [name, result] of decision.profiles) {
              expect(results.has(name), `profile ${name} ran`).toBe(true);
              expect(result).not.toBeInstanceOf(RequestError);
              expect(result.targets.length).toBeGreaterThan(0);
            }
          }),
        ),
    },
    {
      name: "the request ends with an error when every profile fails",
      run: () =>
        fc.assert(
          fc.asyncProperty(cases, async (one) => {
            const failed = new Map(options.profiles.map((name) => [name, failure(name)]));
            expect((await cycle({ ...one, outcomes: failed })).decision).toBeInstanceOf(RequestError);
          }),
        ),
    },
    {
      name: "the request ends with an error when no profile ran",
      run: () =>
        withPlugin(definition, options, 1, ({ instance }) => {
          expect(handlerOf(instance).processResults(buildRequest(), new Map())).toBeInstanceOf(RequestError);
        }),
    },
    {
      name: "the same results lead to the same decision",
      run: () =>
        fc.assert(
          fc.asyncProperty(cases, async (one) => {
            expect((await cycle(one)).decision).toEqual((await cycle(one)).decision);
          }),
        ),
    },
  ];
}

function casesOf(options: ProfileHandlerContractOptions): fc.Arbitrary<Case> {
  const endpoints = [0, 1, 2, 3].map((slot) => buildEndpoint(slot));
  const outcome = (name: string): fc.Arbitrary<ProfileResult | RequestError> =>
    fc.oneof(
      { weight: 2, arbitrary: fc.subarray(endpoints, { minLength: 1 }).map(success) },
      { weight: 1, arbitrary: fc.constant(failure(name)) },
    );
  return fc.record({
    request: options.request?.(endpoints) ?? fc.constant<RequestOptions>({}),
    outcomes: fc
      .tuple(...options.profiles.map(outcome))
      .map((results) => new Map(options.profiles.map((name, i) => [name, results[i]!]))),
    seed: fc.nat(),
  });
}

function success(candidates: readonly Endpoint[]): ProfileResult {
  return { targets: candidates.slice(0, 1), candidates, totals: new Float64Array(candidates.length) };
}

function failure(name: string): RequestError {
  return new RequestError("ResourceExhausted", `no endpoint left in profile ${name}`);
}

/** Runs the handler as the scheduler does. Throws when it breaks the rules of the cycle. */
function runCycle(
  handler: ProfileHandler,
  request: InferenceRequest,
  profiles: readonly string[],
  outcomes: ReadonlyMap<string, ProfileResult | RequestError>,
): CycleOutcome {
  const results = new Map<string, ProfileResult | RequestError>();
  for (;;) {
    const next = handler.pickProfiles(request, profiles, results);
    if (next.length === 0) break;
    for (const name of next) {
      expect(profiles, "names a configured profile").toContain(name);
      expect(results.has(name), `profile ${name} runs once`).toBe(false);
      results.set(name, outcomes.get(name)!);
    }
  }
  const before = new Map(results);
  const decision = handler.processResults(request, results);
  expect(results, "results are left as they are").toEqual(before);
  return { results, decision };
}

function handlerOf(instance: PluginInstance): ProfileHandler {
  if (!hasRole(instance, "profileHandler")) throw new Error("the instance has no method `pickProfiles`");
  return instance;
}
