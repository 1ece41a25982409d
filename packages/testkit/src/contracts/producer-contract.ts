import {
  type AnyPluginDefinition,
  type AttributeKey,
  type DataProducer,
  ENCODER_MATCH,
  type Endpoint,
  hasRole,
  type InferenceRequest,
  LATENCY_PREDICTION,
  type PluginInstance,
  PREFIX_MATCH,
  type SchedulingResult,
  UNCACHED_REQUEST_TOKENS,
} from "@pointsman/core";
import fc from "fast-check";
import { expect } from "vitest";
import { type BuiltPlugin, buildEndpoint, buildPlugin, buildRequest } from "../builders.ts";
import type { FakeClock } from "../fake-clock.ts";
import { type ContractCheck, registerChecks } from "./contract-check.ts";
import { imprintOf } from "./endpoint-imprint.ts";
import { type Situation, type SituationOptions, situations, withPlugin } from "./situation.ts";

/** What {@link producerContract} takes beside the definition. */
export type ProducerContractOptions = SituationOptions;

/** Registers the tests every data producer must pass. Call it at the top of a test file. */
export function producerContract(definition: AnyPluginDefinition, options: ProducerContractOptions = {}): void {
  registerChecks(`producer contract of ${definition.type}`, producerChecks(definition, options));
}

/** Request attributes whose tables are indexed by slot. */
const slotTables: ReadonlySet<string> = new Set(
  [PREFIX_MATCH, ENCODER_MATCH, LATENCY_PREDICTION, UNCACHED_REQUEST_TOKENS].map(({ dataType }) => dataType),
);

/** Rounds of endpoints that come, get a request and go, in the check of what stays behind. */
const churnRounds = 40;

/** The tests of {@link producerContract}, for those who run them another way. */
export function producerChecks(
  definition: AnyPluginDefinition,
  options: ProducerContractOptions = {},
): readonly ContractCheck[] {
  const produced = producedKeys(definition, options);
  const requestKeys = produced.filter(({ scope }) => scope === "request");
  const producedIndices = new Set(produced.map(({ index }) => index));
  const run = (
    situation: Situation,
    use: (request: InferenceRequest) => void = () => {},
  ): Promise<readonly unknown[]> =>
    withPlugin(definition, options, situation.seed, async (built) => {
      const request = situation.newRequest();
      await produce(built, request, situation.endpoints);
      const written = copiesOf(request, requestKeys);
      use(request);
      return written;
    });

  return [
    {
      name: "neither throws nor rejects, whatever is known",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            await run(situation);
          }),
        ),
    },
    {
      name: "takes an empty list and a request of which nothing is known",
      run: () =>
        withPlugin(definition, options, 1, async (built) => {
          await produce(built, buildRequest(), []);
          await produce(built, buildRequest(), [buildEndpoint(3)]);
        }),
    },
    {
      name: "changes neither the list nor the endpoints beyond what it produces",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            await withPlugin(definition, options, situation.seed, async (built) => {
              const before = imprintWithout(situation.endpoints, producedIndices);
              await produce(built, situation.newRequest(), Object.freeze([...situation.endpoints]));
              expect(imprintWithout(situation.endpoints, producedIndices)).toEqual(before);
            });
          }),
        ),
    },
    {
      name: "changes nothing of the request but attributes",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            await run(situation, (request) => {
              const fresh = situation.newRequest();
              expect(plainFieldsOf(request)).toEqual(plainFieldsOf(fresh));
            });
          }),
        ),
    },
    {
      name: "the same seed gives the same data",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            expect(await run(situation)).toEqual(await run(situation));
          }),
        ),
    },
    {
      name: "a table by slot covers every candidate",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            await run(situation, (request) => {
              for (const key of requestKeys) {
                if (!slotTables.has(key.dataType)) continue;
                for (const table of tablesOf(request.attributes.get(key))) {
                  for (const { slot } of situation.endpoints) expect(table.length, key.id).toBeGreaterThan(slot);
                }
              }
            });
          }),
        ),
    },
    {
      name: "what one request got stays when the next comes",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), situations(options), async (one, other) => {
            await withPlugin(definition, options, one.seed, async (built) => {
              const request = one.newRequest();
              await produce(built, request, one.endpoints);
              const before = copiesOf(request, requestKeys);
              await produce(built, other.newRequest(), other.endpoints);
              expect(copiesOf(request, requestKeys)).toEqual(before);
            });
          }),
        ),
    },
    {
      name: "endpoints that come and go leave nothing behind",
      run: () =>
        fc.assert(
          fc.asyncProperty(situations(options), async (situation) => {
            let known: readonly Endpoint[] = [];
            const built = buildPlugin(definition, {
              params: options.params,
              seed: situation.seed,
              endpoints: () => known,
            });
            const churn = async (from: number): Promise<void> => {
              for (let round = from; round < from + churnRounds; round++) {
                known = [buildEndpoint(round % 7, { name: `churn-${round % 7}-${round}` })];
                await live(built, situation.newRequest(), known);
                known = [];
              }
              // Long enough for whatever a plugin does now and then.
              built.clock.advance(10 * 60_000);
            };
            await churn(0);
            const dumped = JSON.stringify(built.instance.dumpState?.() ?? null).length;
            const timers = built.clock.pendingTimers;
            await churn(churnRounds);
            expect(built.clock.pendingTimers).toBeLessThanOrEqual(timers);
            // Counts may have a digit more.
            expect(JSON.stringify(built.instance.dumpState?.() ?? null).length).toBeLessThanOrEqual(dumped + 32);
            await built.instance.dispose?.();
          }),
          { numRuns: 4 },
        ),
    },
  ];
}

/** Lets a producer do its work; a promise gets the time that the producer asks for. */
async function produce(
  { instance, clock }: Pick<BuiltPlugin, "instance" | "clock">,
  request: InferenceRequest,
  endpoints: readonly Endpoint[],
): Promise<void> {
  const producer = producerOf(instance);
  const done = producer.produce(request, endpoints);
  if (done === undefined) return;
  await settle(done, clock, producer.produceTimeoutMs ?? 400);
}

/** Waits for a promise that hangs on a fake clock's timers and on what has been started already. */
async function settle(promise: Promise<void>, clock: FakeClock, timeoutMs: number): Promise<void> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  void promise.then(note, note);
  for (let step = 0; step < 10 && !settled; step++) {
    clock.advance(timeoutMs / 10);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await promise;
}

/** One request's whole way with endpoints that appear before and go after. */
async function live(built: BuiltPlugin, request: InferenceRequest, endpoints: readonly Endpoint[]): Promise<void> {
  const { instance } = built;
  for (const endpoint of endpoints) instance.endpointChanged?.({ type: "addOrUpdate", endpoint });
  await produce(built, request, endpoints);
  const result: SchedulingResult = {
    primaryProfile: "default",
    profiles: new Map([
      ["default", { targets: endpoints, candidates: endpoints, totals: new Float64Array(endpoints.length) }],
    ]),
  };
  instance.preRequest?.(request, result);
  instance.responseBody?.(request, result, {
    startOfStream: true,
    endOfStream: true,
    chunkBytes: 1,
    usage: undefined,
    streamedEvents: 0,
    terminationCause: "natural",
    setDynamicMetadata: () => {},
  });
  for (const endpoint of endpoints) instance.endpointChanged?.({ type: "delete", endpoint });
}

/** What an instance with the contract's parameters produces. */
function producedKeys(definition: AnyPluginDefinition, { params }: SituationOptions): readonly AttributeKey<unknown>[] {
  const outcome = definition.params?.["~standard"].validate(params ?? {});
  const checked = outcome === undefined || outcome instanceof Promise || outcome.issues ? params : outcome.value;
  return definition.produces?.(checked, definition.type) ?? [];
}

function copiesOf(request: InferenceRequest, keys: readonly AttributeKey<unknown>[]): readonly unknown[] {
  return keys.map((key) => copyOf(request.attributes.get(key)));
}

/** A deep copy; the value itself where it holds functions or objects of classes that cannot be copied. */
function copyOf(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return value;
  }
}

function imprintWithout(endpoints: readonly Endpoint[], produced: ReadonlySet<number>): readonly unknown[] {
  const blank = (list: readonly unknown[]): readonly unknown[] => {
    const kept = list.map((value, index) => (produced.has(index) ? undefined : value));
    // Arrays grow when a later attribute is written.
    while (kept.length > 0 && (kept.at(-1) === undefined || kept.at(-1) === Number.NEGATIVE_INFINITY)) kept.pop();
    return kept;
  };
  return imprintOf(endpoints).map((imprint) => {
    // What `imprintOf` returns has both lists.
    const { values, writtenAtMs, ...rest } = imprint as { values: unknown[]; writtenAtMs: unknown[] };
    return { ...rest, values: blank(values), writtenAtMs: blank(writtenAtMs) };
  });
}

function plainFieldsOf(request: InferenceRequest): unknown {
  const { id, targetModel, incomingModel, priority, fairnessId, nowMs, headers, upstreamHeaders } = request;
  const { names, values } = headers;
  return { id, targetModel, incomingModel, priority, fairnessId, nowMs, names, values, upstream: [...upstreamHeaders] };
}

/** Typed arrays of a value: the value itself, its fields, and the values of maps among them. */
function tablesOf(value: unknown): readonly { readonly length: number }[] {
  const isTable = (one: unknown): one is { readonly length: number } & ArrayBufferView =>
    ArrayBuffer.isView(one) && "length" in one;
  if (isTable(value)) return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap((field: unknown) =>
    field instanceof Map ? [...field.values()].filter(isTable) : isTable(field) ? [field] : [],
  );
}

function producerOf(instance: PluginInstance): PluginInstance & DataProducer {
  if (!hasRole(instance, "dataProducer")) throw new Error("the instance has no method `produce`");
  return instance;
}
