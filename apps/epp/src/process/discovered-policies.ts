import type { Logger, MetricsRegistry, ModelRewrites, Objectives, RequestPolicySink } from "@pointsman/core";
import { ObjectiveStore, RewriteStore } from "@pointsman/datastore";

/** Objectives and rewrites that a discovery plugin finds. */
export interface DiscoveredPolicies {
  readonly objectives: Objectives;
  readonly rewrites: ModelRewrites;
  /** What the discovery plugin writes to. */
  readonly sink: RequestPolicySink;
}

/** Stores for a discovery plugin to fill; empty until it does. */
export function discoveredPolicies(options: {
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  random(): number;
}): DiscoveredPolicies {
  const objectives = new ObjectiveStore(options);
  const rewrites = new RewriteStore(options);
  return {
    objectives,
    rewrites,
    sink: {
      setObjectives: (list) => objectives.replaceAll(list),
      setModelRewrites: (list) => rewrites.replaceAll(list),
    },
  };
}
