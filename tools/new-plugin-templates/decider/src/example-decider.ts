import { type AnyPluginDefinition, definePlugin, type PromptSegment } from "@pointsman/core";
import { type ExampleDeciderParams, exampleDeciderParams } from "./params.ts";

/** Bytes of text in all prompts together; 0 without text. */
export function textBytes(prompts: readonly (readonly PromptSegment[])[]): number {
  let bytes = 0;
  for (const segments of prompts) {
    for (const segment of segments) {
      if (segment.kind === "text") bytes += segment.bytes.length;
    }
  }
  return bytes;
}

export const exampleDecider: AnyPluginDefinition = definePlugin<ExampleDeciderParams>({
  type: "example-decider",
  kind: "decider",
  stability: "beta",
  summary: "Says yes to long prompts: they are computed on a prefill endpoint.",
  params: exampleDeciderParams,
  readsBody: ["request"],
  create: ({ longPromptBytes }) => ({
    disaggregate: (request) => textBytes(request.body.promptSegments()) >= longPromptBytes,
  }),
});
