import { z } from "zod";

const metrics = ["active-requests", "running-requests", "waiting-queue", "kv-cache-utilization"] as const;

/** A figure of an endpoint's load. */
export type UtilizationMetric = (typeof metrics)[number];

/** The most that a figure may be. */
export interface UtilizationCondition {
  readonly metric: UtilizationMetric;
  readonly maxValue: number;
}

/** Limits that an endpoint must keep; all of them. */
export interface UtilizationFilterParams {
  readonly conditions: readonly UtilizationCondition[];
  readonly fallbackOnEmpty: boolean;
  readonly inFlightLoadProducerName: string;
}

const condition = z
  .strictObject({
    metric: z
      .enum(metrics)
      .describe(
        "`active-requests` are those this process has in flight; the others are what the engine reports of itself.",
      ),
    maxValue: z
      .number()
      .min(0)
      .describe("Largest value that is kept: a count, or a share from 0 to 1 for `kv-cache-utilization`."),
  })
  .superRefine(({ metric, maxValue }, context) => {
    if (metric === "kv-cache-utilization" && maxValue > 1) {
      context.addIssue({ code: "custom", message: "is a share: at most 1", path: ["maxValue"] });
    }
  });

export const utilizationFilterParams: z.ZodType<UtilizationFilterParams> = z.strictObject({
  conditions: z.array(condition).min(1).describe("Limits; an endpoint is kept when it is within each of them."),
  fallbackOnEmpty: z.boolean().default(false).describe("Keep all endpoints when none is within the limits."),
  inFlightLoadProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of `active-requests`; empty is `inflight-load-producer`."),
});
