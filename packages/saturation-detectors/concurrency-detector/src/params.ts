import { z } from "zod";

/** What is counted: requests, their tokens, or both. */
export type ConcurrencyMode = "requests" | "tokens" | "hybrid";

/** When an endpoint is full. */
export interface ConcurrencyDetectorParams {
  readonly concurrencyMode: ConcurrencyMode;
  readonly maxConcurrency: number;
  readonly maxTokenConcurrency: number;
  readonly headroom: number;
  readonly inFlightLoadProducerName: string;
}

export const concurrencyDetectorParams: z.ZodType<ConcurrencyDetectorParams> = z.strictObject({
  concurrencyMode: z
    .enum(["requests", "tokens", "hybrid"])
    .default("requests")
    .describe("What fills an endpoint: requests in flight, their tokens, or whichever of both is nearer its limit."),
  maxConcurrency: z.int().positive().default(100).describe("Requests in flight at which an endpoint is full."),
  maxTokenConcurrency: z.int().positive().default(1_000_000).describe("Tokens in flight at which an endpoint is full."),
  headroom: z
    .number()
    .min(0)
    .default(0)
    .describe("As a filter only: share by which an endpoint may exceed the limits, 0.2 for 20 %."),
  inFlightLoadProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of the counts; empty is `inflight-load-producer`."),
});
