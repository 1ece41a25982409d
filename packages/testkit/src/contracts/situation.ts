import {
  type AnyPluginDefinition,
  type AttributeKey,
  Endpoint,
  type InferenceRequest,
  writeAttribute,
} from "@pointsman/core";
import fc from "fast-check";
import { type BuiltPlugin, buildEndpoint, buildPlugin, buildRequest, type RequestOptions } from "../builders.ts";

/** Time of every decision in a contract test, monotonic milliseconds. */
export const situationNowMs = 1_000_000;

const defaultStalenessMs = 2000;

/** An endpoint attribute with the values it may take. */
export interface EndpointSignal {
  readonly key: AttributeKey<unknown>;
  readonly values: fc.Arbitrary<unknown>;
}

/** Says which values of an endpoint attribute a contract test writes. */
export function endpointSignal<T>(key: AttributeKey<T>, values: fc.Arbitrary<T>): EndpointSignal {
  return { key, values };
}

/** What the situations of a contract test are made of. */
export interface SituationOptions {
  /** Parameters as in the configuration, checked by the plugin's schema. */
  readonly params?: unknown;
  /** Endpoint attributes the plugin reads. Each is written fresh, stale, as `undefined`, or not at all. */
  readonly signals?: readonly EndpointSignal[];
  /** Labels of an endpoint; none when absent. */
  readonly labels?: fc.Arbitrary<Readonly<Record<string, string>>>;
  /** Requests that may meet these endpoints; a plain one when absent. Request attributes go in here, also those by slot. */
  readonly request?: (endpoints: readonly Endpoint[]) => fc.Arbitrary<RequestOptions>;
  /** Age up to which the plugin trusts a value, milliseconds; 2000 when absent, as for `fresh` of an attribute reader. */
  readonly stalenessMs?: number;
}

/** Endpoints and a request as a plugin meets them. */
export interface Situation {
  readonly endpoints: readonly Endpoint[];
  /** A new request each time, so that runs do not share what a plugin leaves on it. */
  newRequest(): InferenceRequest;
  /** Seed of the plugin's random numbers. */
  readonly seed: number;
}

/** What an endpoint reports under one key. */
type SignalState =
  | { readonly kind: "fresh" | "stale"; readonly value: unknown; readonly ageMs: number }
  | { readonly kind: "undefined" }
  | { readonly kind: "absent" };

interface EndpointPlan {
  readonly slot: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly states: readonly SignalState[];
}

/** Situations with 1 to `maxEndpoints` endpoints; slots are unique, not dense and in no order. */
export function situations(options: SituationOptions, maxEndpoints: number = 8): fc.Arbitrary<Situation> {
  const { stalenessMs = defaultStalenessMs } = options;
  const state = (signal: EndpointSignal): fc.Arbitrary<SignalState> =>
    fc.oneof(
      { weight: 6, arbitrary: freshState(signal, stalenessMs) },
      { weight: 1, arbitrary: staleState(signal.values, stalenessMs) },
      { weight: 1, arbitrary: fc.constantFrom<SignalState>({ kind: "undefined" }, { kind: "absent" }) },
    );
  return fc
    .uniqueArray(plan(options, state), { selector: (p) => p.slot, minLength: 1, maxLength: maxEndpoints })
    .chain((plans) => situationOf(options, plans));
}

/** A fresh endpoint among others, with two more like it: one whose data is stale, one of which nothing is known. */
export interface TwinSituation extends Situation {
  readonly fresh: Endpoint;
  readonly stale: Endpoint;
  readonly unknown: Endpoint;
}

/** Situations that hold an endpoint in three states of knowledge, among up to five others. */
export function twinSituations(options: SituationOptions): fc.Arbitrary<TwinSituation> {
  const { signals = [], stalenessMs = defaultStalenessMs } = options;
  const others = fc.uniqueArray(
    plan(options, (signal) => freshState(signal, stalenessMs)),
    { selector: (p) => p.slot, maxLength: 5 },
  );
  const twins = fc.tuple(
    options.labels ?? fc.constant({}),
    fc.tuple(...signals.map((signal) => signal.values)),
    fc.integer({ min: stalenessMs + 1, max: stalenessMs + 600_000 }),
  );
  return fc.tuple(others, twins).chain(([otherPlans, [labels, values, staleAgeMs]]) => {
    const twin = (slot: number, state: (value: unknown) => SignalState): EndpointPlan => ({
      slot,
      labels,
      states: values.map(state),
    });
    const plans = [
      ...otherPlans,
      twin(100, (value) => ({ kind: "fresh", value, ageMs: 0 })),
      twin(101, (value) => ({ kind: "stale", value, ageMs: staleAgeMs })),
      twin(102, () => ({ kind: "absent" })),
    ];
    return situationOf(options, plans).map((situation): TwinSituation => {
      const [fresh, stale, unknown] = situation.endpoints.slice(-3);
      return Object.assign(situation, { fresh: fresh!, stale: stale!, unknown: unknown! });
    });
  });
}

/** Situations in which no endpoint reports anything and all carry the same labels. */
export function blankSituations(options: SituationOptions): fc.Arbitrary<Situation> {
  const slots = fc.uniqueArray(fc.nat(40), { minLength: 1, maxLength: 8 });
  return fc.tuple(slots, options.labels ?? fc.constant({})).chain(([picked, labels]) => {
    const states = (options.signals ?? []).map((): SignalState => ({ kind: "absent" }));
    return situationOf(
      options,
      picked.map((slot) => ({ slot, labels, states })),
    );
  });
}

/** Makes an instance for a situation, hands it to `use` and disposes of it. */
export async function withPlugin<R>(
  definition: AnyPluginDefinition,
  options: SituationOptions,
  seed: number,
  use: (built: BuiltPlugin) => R | Promise<R>,
): Promise<R> {
  const built = buildPlugin(definition, {
    params: options.params,
    seed,
    stalenessMs: options.stalenessMs ?? defaultStalenessMs,
  });
  try {
    return await use(built);
  } finally {
    await built.instance.dispose?.();
  }
}

/** An endpoint that stands for `endpoint` with one attribute written fresh; everything else is the same. */
export function withAttribute<T>(endpoint: Endpoint, key: AttributeKey<T>, value: T): Endpoint {
  const copy = new Endpoint(endpoint.slot, endpoint.metadata);
  copy.values.push(...endpoint.values);
  copy.writtenAtMs.push(...endpoint.writtenAtMs);
  writeAttribute(copy, key, value, situationNowMs);
  return copy;
}

function plan(
  options: SituationOptions,
  state: (signal: EndpointSignal) => fc.Arbitrary<SignalState>,
): fc.Arbitrary<EndpointPlan> {
  return fc.record({
    slot: fc.nat(40),
    labels: options.labels ?? fc.constant({}),
    states: fc.tuple(...(options.signals ?? []).map(state)),
  });
}

function freshState(signal: EndpointSignal, stalenessMs: number): fc.Arbitrary<SignalState> {
  return fc.record({ kind: fc.constant("fresh"), value: signal.values, ageMs: fc.nat(stalenessMs) });
}

function staleState(values: fc.Arbitrary<unknown>, stalenessMs: number): fc.Arbitrary<SignalState> {
  const ageMs = fc.integer({ min: stalenessMs + 1, max: stalenessMs + 600_000 });
  return fc.record({ kind: fc.constant("stale"), value: values, ageMs });
}

function situationOf(options: SituationOptions, plans: readonly EndpointPlan[]): fc.Arbitrary<Situation> {
  const signals = options.signals ?? [];
  const endpoints = plans.map((one) => endpointOf(one, signals));
  const request = options.request?.(endpoints) ?? fc.constant<RequestOptions>({});
  return fc.tuple(request, fc.nat()).map(([requestOptions, seed]) => ({
    endpoints,
    newRequest: () => buildRequest({ nowMs: situationNowMs, ...requestOptions }),
    seed,
    // What fast-check prints for a counterexample.
    [fc.toStringMethod]: () =>
      `{ endpoints: ${fc.stringify(plans.map((one) => describePlan(one, signals)))}, ` +
      `request: ${fc.stringify(requestOptions)}, seed: ${seed} }`,
  }));
}

function endpointOf(one: EndpointPlan, signals: readonly EndpointSignal[]): Endpoint {
  const endpoint = buildEndpoint(one.slot, { labels: one.labels });
  one.states.forEach((state, i) => {
    const { key } = signals[i]!;
    if (state.kind === "undefined") writeAttribute(endpoint, key, undefined, situationNowMs);
    else if (state.kind !== "absent") writeAttribute(endpoint, key, state.value, situationNowMs - state.ageMs);
  });
  return endpoint;
}

function describePlan(one: EndpointPlan, signals: readonly EndpointSignal[]): unknown {
  return {
    slot: one.slot,
    labels: one.labels,
    ...Object.fromEntries(one.states.map((state, i) => [signals[i]!.key.id, state])),
  };
}
