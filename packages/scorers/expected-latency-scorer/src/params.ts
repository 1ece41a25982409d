import { z } from "zod";

/** What a millisecond of each part of the expected cost counts. */
export interface ExpectedLatencyScorerParams {
  readonly expectedLatencyProducerName: string;
  readonly ttftWeight: number;
  readonly maxTtftWeight: number;
  readonly decodeWeight: number;
  readonly harmWeight: number;
  readonly evictWeight: number;
}

const weight = (value: number, meaning: string): z.ZodType<number> =>
  z.number().min(0).max(1000).default(value).describe(meaning);

export const expectedLatencyScorerParams: z.ZodType<ExpectedLatencyScorerParams> = z.strictObject({
  expectedLatencyProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of expected latencies; empty is `expected-latency-producer`."),
  ttftWeight: weight(6, "What a millisecond until the request's own first token counts at least."),
  maxTtftWeight: weight(
    300,
    "What it counts at most. In between: half the number of times as long as its first token a whole answer takes.",
  ),
  decodeWeight: weight(1, "What a millisecond from its first to its last token counts."),
  harmWeight: weight(1.5, "What a millisecond counts by which it delays a request that is there."),
  evictWeight: weight(
    20,
    "What a millisecond counts that others will need to compute what it displaces from the cache.",
  ),
});
