import { z } from "zod";

/** Which file lists the endpoints, and whether to follow it. */
export interface FileDiscoveryParams {
  readonly path: string;
  readonly watchFile: boolean;
}

export const fileDiscoveryParams: z.ZodType<FileDiscoveryParams> = z.strictObject({
  path: z
    .string({ error: "must be the path of a YAML or JSON file that lists the endpoints" })
    .min(1, "must not be empty")
    .describe("YAML or JSON file that lists the endpoints. A relative path starts at the configuration file's folder."),
  watchFile: z
    .boolean()
    .default(false)
    .describe("Follow changes of the file. Without it the file is read at start only."),
});
