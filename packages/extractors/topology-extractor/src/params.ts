import { z } from "zod";

/** Labels of endpoints that say where they run. */
export interface TopologyExtractorParams {
  readonly hostname: string;
  readonly rack: string;
  readonly zone: string;
  readonly region: string;
}

const label = (name: string): z.ZodDefault<z.ZodString> => z.string().min(1, "must not be empty").default(name);

export const topologyExtractorParams: z.ZodType<TopologyExtractorParams> = z.strictObject({
  hostname: label("kubernetes.io/hostname").describe(
    "Label with the host. Without it on an endpoint, its Pod's `spec.hostname` is used.",
  ),
  rack: label("topology.kubernetes.io/rack").describe("Label with the rack."),
  zone: label("topology.kubernetes.io/zone").describe("Label with the zone."),
  region: label("topology.kubernetes.io/region").describe("Label with the region."),
});
