import { z } from "zod";

/** How much is kept for each endpoint. */
export interface MmEmbeddingsCacheParams {
  /** Items remembered for each endpoint. */
  readonly itemsPerEndpoint: number;
}

const defaultMebibytes = 4096;
/** What one item is taken to occupy in an encoder cache. */
const mebibytesPerItem = 2;

export const mmEmbeddingsCacheParams: z.ZodType<MmEmbeddingsCacheParams> = z
  .strictObject({
    cacheSizeInMBPerServer: z
      .int()
      .max(1_048_576)
      .default(defaultMebibytes)
      .describe("MiB of an engine's encoder cache, at 2 MiB an item; 0 and below count as 4096."),
  })
  .transform(({ cacheSizeInMBPerServer }) => {
    const mebibytes = cacheSizeInMBPerServer > 0 ? cacheSizeInMBPerServer : defaultMebibytes;
    return { itemsPerEndpoint: Math.max(1, Math.floor(mebibytes / mebibytesPerItem)) };
  });
