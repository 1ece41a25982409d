import { z } from "zod";

/** Where requests are sent. */
export interface DataParallelProfileHandlerParams {
  /** The port every request goes to. */
  readonly primaryPort: number;
}

export const dataParallelProfileHandlerParams: z.ZodType<DataParallelProfileHandlerParams> = z.strictObject({
  primaryPort: z
    .int()
    .min(1)
    .max(65535)
    .default(8000)
    .describe("Port of the pods' sidecars, which every request goes to."),
});
