import { z } from "zod";

/** Where and how requests are written down. */
export interface DecisionLogRecorderParams {
  readonly path: string;
  readonly maxBytes: number;
  readonly blockTokens: number;
  readonly salt: string;
}

export const decisionLogRecorderParams: z.ZodType<DecisionLogRecorderParams> = z.strictObject({
  path: z
    .string()
    .min(1)
    .describe("File that lines are appended to; a relative path starts at the folder of the configuration file."),
  maxBytes: z
    .int()
    .min(1024 ** 2)
    .max(1024 ** 4)
    .default(100 * 1024 ** 2)
    .describe("Size from which the file is renamed to `<path>.1`, in place of an older one, and a new one begun."),
  blockTokens: z.int().min(1).max(65_536).default(512).describe("Tokens of the prompt for each of its hashes."),
  salt: z
    .string()
    .max(1024)
    .default("")
    .describe("Secret that goes into all hashes. Logs can be compared where it is the same."),
});
