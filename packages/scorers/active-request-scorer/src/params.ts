import { z } from "zod";

/** From which count an endpoint is busy, and what a busy one may score. */
export interface ActiveRequestScorerParams {
  readonly idleThreshold: number;
  readonly maxBusyScore: number;
  readonly inFlightLoadProducerName: string;
  /** What was given and is not used as it stands, for the log. */
  readonly warnings: readonly string[];
}

const defaultMaxBusyScore = 1;

export const activeRequestScorerParams: z.ZodType<ActiveRequestScorerParams> = z
  .strictObject({
    idleThreshold: z
      .int()
      .default(0)
      .describe("Requests in flight up to which an endpoint is idle and scores 1; below 0 counts as 0."),
    maxBusyScore: z
      .number()
      .default(defaultMaxBusyScore)
      .describe("Score that a busy endpoint stays below, 0 to 1; anything else counts as 1."),
    inFlightLoadProducerName: z
      .string()
      .default("")
      .describe("Name of the producer of the counts; empty is `inflight-load-producer`."),
    requestTimeout: z.string().optional().describe("Deprecated and ignored: requests count until they end."),
  })
  .transform(({ idleThreshold, maxBusyScore, inFlightLoadProducerName, requestTimeout }) => {
    const inRange = maxBusyScore >= 0 && maxBusyScore <= 1;
    const warnings: string[] = [];
    if (!inRange) warnings.push("parameter maxBusyScore lies outside 0 to 1 and counts as 1");
    if (requestTimeout !== undefined) warnings.push("deprecated parameter requestTimeout is ignored");
    return {
      idleThreshold: Math.max(0, idleThreshold),
      maxBusyScore: inRange ? maxBusyScore : defaultMaxBusyScore,
      inFlightLoadProducerName,
      warnings,
    };
  });
