import { z } from "zod";

/** Whose matches are scored. */
export interface MmEmbeddingsCacheScorerParams {
  readonly producerName: string;
}

export const mmEmbeddingsCacheScorerParams: z.ZodType<MmEmbeddingsCacheScorerParams> = z.strictObject({
  producerName: z
    .string()
    .default("")
    .describe("Name of the producer of the matches; empty is `mm-embeddings-cache-producer`."),
});
