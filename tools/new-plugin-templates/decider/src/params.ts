import { z } from "zod";

/** What counts as a long prompt. */
export interface ExampleDeciderParams {
  readonly longPromptBytes: number;
}

export const exampleDeciderParams: z.ZodType<ExampleDeciderParams> = z.strictObject({
  longPromptBytes: z.int().min(1).default(4096).describe("Bytes of text from which on a prompt is long."),
});
