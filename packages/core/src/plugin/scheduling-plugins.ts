import type { Endpoint } from "../endpoint.ts";
import type { InferenceRequest } from "../request.ts";
import type { RequestError } from "../request-error.ts";

/** Removes endpoints that must not or should not serve the request. */
export interface Filter {
  /**
   * Returns the endpoints to keep, in the order given: the same array when all stay.
   *
   * Never adds, never reorders, never changes an endpoint. An empty result ends the profile. Synchronous.
   */
  filter(request: InferenceRequest, endpoints: readonly Endpoint[]): readonly Endpoint[];
}

/** Rates endpoints: 1 is best, 0 is worst. */
export interface Scorer {
  /**
   * Fills `out[i]` for `endpoints[i]`.
   *
   * Shape: `out.length === endpoints.length`, at least 1; zeros on entry. Range: 0 to 1; what lies outside is clamped,
   * NaN counts as 0 and is reported. Synchronous; allocates nothing per endpoint.
   */
  score(request: InferenceRequest, endpoints: readonly Endpoint[], out: Float64Array): void;
}

/** Chooses among the scored endpoints. */
export interface Picker {
  /** Returns at least one of `endpoints`, best first; further ones are fallbacks. `totals[i]` belongs to `endpoints[i]`. */
  pick(request: InferenceRequest, endpoints: readonly Endpoint[], totals: Float64Array): readonly Endpoint[];
}

/** Outcome of one profile. */
export interface ProfileResult {
  /** Chosen endpoints, best first; at least one. */
  readonly targets: readonly Endpoint[];
  /** Endpoints that passed all filters. */
  readonly candidates: readonly Endpoint[];
  /** Weighted sum of scores for each of `candidates`. */
  readonly totals: Float64Array;
}

/** Results by profile name. A profile that ran and failed is present with its error. */
export type ProfileResults = ReadonlyMap<string, ProfileResult | RequestError>;

/** Outcome of scheduling: what each profile chose, and which one says where the request goes. */
export interface SchedulingResult {
  readonly primaryProfile: string;
  /** Profile whose first target computes the prompt's KV cache for the primary one, where there is such a profile. */
  readonly prefillProfile?: string;
  /**
   * Port to send the request to, in place of the primary targets' own: somebody there passes it on to the target. The
   * targets stay what was chosen.
   */
  readonly destinationPort?: number;
  readonly profiles: ReadonlyMap<string, ProfileResult>;
}

/** Decides which profiles run for a request and what their results mean. */
export interface ProfileHandler {
  /**
   * Names the profiles to run next, given the results so far. An empty list ends the cycle; a profile runs at most once.
   */
  pickProfiles(request: InferenceRequest, profiles: readonly string[], results: ProfileResults): readonly string[];
  processResults(request: InferenceRequest, results: ProfileResults): SchedulingResult | RequestError;
  /** Tells what is wrong with the configured profiles, before any request. */
  checkProfiles?(profiles: readonly string[]): string | undefined;
}

/** Decides whether a request's prefill (or encoding) runs on an endpoint of its own. */
export interface DisaggregationDecider {
  /** `target` is the endpoint chosen for decode; `undefined` when none is chosen yet. */
  disaggregate(request: InferenceRequest, target: Endpoint | undefined): boolean;
}
