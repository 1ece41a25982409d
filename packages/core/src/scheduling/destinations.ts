import { Endpoint } from "../endpoint.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";

/**
 * Where a decided request goes, best first: the primary profile's targets, at `destinationPort` where the result names
 * one.
 *
 * Endpoints with another port are made for this request: they have no attributes, and nobody but the data plane should
 * get them.
 */
export function destinationsOf(result: SchedulingResult): readonly Endpoint[] {
  const targets = result.profiles.get(result.primaryProfile)?.targets ?? [];
  const { destinationPort } = result;
  if (destinationPort === undefined) return targets;
  return targets.map(({ slot, metadata }) => new Endpoint(slot, { ...metadata, port: destinationPort }));
}
