import { type AnyPluginDefinition, type AttributeKey, type Endpoint, hasRole } from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { buildRequest, type RequestOptions } from "../builders.ts";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { type SituationOptions, situationNowMs, situations, withAttribute, withPlugin } from "./situation.ts";

/** A signal that gets better for one endpoint while everything else stays. */
export type Improvement =
  /** An endpoint attribute. */
  | {
      readonly key: AttributeKey<unknown>;
      readonly values: fc.Arbitrary<readonly [worse: unknown, better: unknown]>;
    }
  /** Something on the request, for `endpoints[index]`: a request attribute by slot, a header that names it. */
  | {
      readonly name: string;
      readonly request: (
        endpoints: readonly Endpoint[],
        index: number,
      ) => fc.Arbitrary<readonly [worse: RequestOptions, better: RequestOptions]>;
    };

/** An endpoint attribute that gets better, as pairs of values; `worse` may equal `better`. */
export function improvement<T>(
  key: AttributeKey<T>,
  values: fc.Arbitrary<readonly [worse: T, better: T]>,
): Improvement {
  return { key, values };
}

/** Pairs for {@link improvement} where the lower number is the better one. */
export function lowerIsBetter(values: fc.Arbitrary<number>): fc.Arbitrary<readonly [worse: number, better: number]> {
  return fc.tuple(values, values).map(([a, b]) => (a < b ? [b, a] : [a, b]));
}

/** Pairs for {@link improvement} where the higher number is the better one. */
export function higherIsBetter(values: fc.Arbitrary<number>): fc.Arbitrary<readonly [worse: number, better: number]> {
  return lowerIsBetter(values).map(([higher, lower]) => [lower, higher]);
}

/**
 * Registers a test that an endpoint's score never falls when its signal gets better and nothing else changes.
 * `options` describes the surroundings, as for `scorerContract`.
 */
export function monotoneIn(definition: AnyPluginDefinition, change: Improvement, options: SituationOptions = {}): void {
  registerChecks(`monotonicity of ${definition.type}`, [monotoneCheck(definition, change, options)]);
}

/** The test of {@link monotoneIn}, for those who run it another way. */
export function monotoneCheck(
  definition: AnyPluginDefinition,
  change: Improvement,
  options: SituationOptions = {},
): ContractCheck {
  const cases = fc.tuple(situations(options), fc.nat()).chain(([situation, pick]) => {
    const { endpoints, newRequest, seed } = situation;
    const index = pick % endpoints.length;
    if ("request" in change) {
      return change.request(endpoints, index).map(([worse, better]) => ({
        seed,
        index,
        worse: { endpoints, newRequest: () => buildRequest({ nowMs: situationNowMs, ...worse }) },
        better: { endpoints, newRequest: () => buildRequest({ nowMs: situationNowMs, ...better }) },
      }));
    }
    const replaced = (value: unknown): readonly Endpoint[] =>
      endpoints.with(index, withAttribute(endpoints[index]!, change.key, value));
    return change.values.map(([worse, better]) => ({
      seed,
      index,
      worse: { endpoints: replaced(worse), newRequest },
      better: { endpoints: replaced(better), newRequest },
    }));
  });
  return {
    name: `a better ${"request" in change ? change.name : change.key.id} never lowers the score`,
    run: () =>
      fc.assert(
        fc.asyncProperty(cases, async ({ seed, index, worse, better }) => {
          const scoreIn = ({ endpoints, newRequest }: typeof worse): Promise<number> =>
            withPlugin(definition, options, seed, ({ instance }) => {
              if (!hasRole(instance, "scorer")) throw new Error("the instance has no method `score`");
              const out = new Float64Array(endpoints.length);
              instance.score(newRequest(), endpoints, out);
              return out[index]!;
            });
          expect(await scoreIn(better)).toBeGreaterThanOrEqual(await scoreIn(worse));
        }),
      ),
  };
}
