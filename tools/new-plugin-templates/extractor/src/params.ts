import { z } from "zod";

/** Which series is read, and where it is stored. */
export interface ExampleExtractorParams {
  readonly series: string;
  readonly attributeKey: string;
}

export const exampleExtractorParams: z.ZodType<ExampleExtractorParams> = z.strictObject({
  series: z
    .string()
    .regex(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/, "must be the name of a Prometheus series")
    .default("gpu_temperature_celsius")
    .describe("Name of the series; the largest value counts when there are several."),
  attributeKey: z.string().min(1).default("GPUTemperature").describe("Name of the endpoint attribute that is written."),
});
