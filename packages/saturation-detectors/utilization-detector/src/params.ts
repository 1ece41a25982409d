import { parseDurationMs } from "@pointsman/core";
import { z } from "zod";

/** When an endpoint counts as full, and how old its figures may be. */
export interface UtilizationDetectorParams {
  readonly queueDepthThreshold: number;
  readonly kvCacheUtilThreshold: number;
  readonly metricsStalenessThresholdMs: number;
  readonly headroom: number;
}

const positiveDurationMs = z
  .string({ error: 'must be a duration such as "200ms"' })
  .default("200ms")
  .transform((text, context) => {
    const durationMs = parseDurationMs(text);
    if (durationMs !== undefined && durationMs > 0) return durationMs;
    context.addIssue(`must be a duration above 0 such as "200ms" or "1.5s", not ${JSON.stringify(text.slice(0, 80))}`);
    return z.NEVER;
  });

export const utilizationDetectorParams: z.ZodType<UtilizationDetectorParams> = z
  .strictObject({
    queueDepthThreshold: z.int().positive().default(5).describe("Waiting requests at which an endpoint is full."),
    kvCacheUtilThreshold: z
      .number()
      .positive()
      .max(1)
      .default(0.8)
      .describe("Share of the KV cache in use at which an endpoint is full."),
    metricsStalenessThreshold: positiveDurationMs.describe(
      "Duration such as `200ms`. An endpoint with older figures counts as saturated.",
    ),
    headroom: z
      .number()
      .min(0)
      .default(0)
      .describe("As a filter only: share by which an endpoint may exceed the thresholds, 0.2 for 20 %."),
  })
  .transform(({ metricsStalenessThreshold, ...thresholds }) => ({
    ...thresholds,
    metricsStalenessThresholdMs: metricsStalenessThreshold,
  }));
