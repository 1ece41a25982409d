import type { Topology } from "./topology.ts";

/** How near two endpoints are: the smallest unit that both are in. */
export type TopologyLevel = "host" | "rack" | "zone" | "region";

/** The levels, nearest first. */
export const topologyLevels: readonly TopologyLevel[] = ["host", "rack", "zone", "region"];

/**
 * The nearest level at which two places are the same, `undefined` where they share none. A part that is unknown or empty
 * equals nothing. Never throws, no allocation.
 */
export function sharedTopologyLevel(a: Topology | undefined, b: Topology | undefined): TopologyLevel | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (same(a.hostname, b.hostname)) return "host";
  if (same(a.rack, b.rack)) return "rack";
  if (same(a.zone, b.zone)) return "zone";
  return same(a.region, b.region) ? "region" : undefined;
}

function same(a: string | undefined, b: string | undefined): boolean {
  return a === b && a !== undefined && a !== "";
}
