import type { Endpoint } from "../endpoint.ts";
import type { SaturationDetector } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { InferenceRequest } from "../request.ts";
import { RequestError } from "../request-error.ts";

/**
 * Decides whether, and when, a request goes on to scheduling. The stage may wait: flow control holds requests in queues
 * here.
 */
export interface AdmissionController {
  /** Nothing: go on. An error: refuse. A promise: wait for either; it settles early when `request.signal` aborts. */
  admit(request: InferenceRequest): undefined | RequestError | Promise<undefined | RequestError>;
}

/** Lets every request through. */
export const admitAll: AdmissionController = { admit: () => undefined };

/** Refuses requests of negative priority while the pool is saturated; never waits. */
export function shedWhenSaturated(
  detector: NamedPlugin<SaturationDetector>,
  endpoints: () => readonly Endpoint[],
): AdmissionController {
  return {
    admit(request) {
      if (request.priority >= 0) return undefined;
      if (detector.instance.saturation(endpoints(), request.nowMs) < 1) return undefined;
      return new RequestError("ResourceExhausted", "system saturated, sheddable request dropped", "rejected-saturated");
    },
  };
}
