import { z } from "zod";

/** How many endpoints are remembered, and whose matches say whether a prompt is cached. */
export interface NoHitLruScorerParams {
  readonly lruSize: number;
  readonly prefixMatchInfoProducerName: string;
  /** Deprecated parameters that were given. */
  readonly ignored: readonly string[];
}

const defaultLruSize = 1024;

export const noHitLruScorerParams: z.ZodType<NoHitLruScorerParams> = z
  .strictObject({
    lruSize: z
      .int()
      .max(1_000_000)
      .default(defaultLruSize)
      .describe("Endpoints whose use is remembered; 0 and below count as 1024."),
    prefixMatchInfoProducerName: z
      .string()
      .default("")
      .describe("Name of the producer of the matches; empty is `approx-prefix-cache-producer`."),
    prefixPluginType: z.string().optional().describe("Deprecated and ignored: use `prefixMatchInfoProducerName`."),
    prefixPluginName: z.string().optional().describe("Deprecated and ignored: use `prefixMatchInfoProducerName`."),
  })
  .transform(({ lruSize, prefixMatchInfoProducerName, ...deprecated }) => ({
    lruSize: lruSize > 0 ? lruSize : defaultLruSize,
    prefixMatchInfoProducerName,
    ignored: Object.keys(deprecated),
  }));
