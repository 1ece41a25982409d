import { type AnyPluginDefinition, definePlugin, type PromptSegment } from "@pointsman/core";
import { EXAMPLE_PRODUCER_PROMPT_BYTES } from "./prompt-bytes.ts";

/** Bytes of the text segments together; `undefined` when there is no text. */
export function textBytes(prompts: readonly (readonly PromptSegment[])[]): number | undefined {
  let bytes: number | undefined;
  for (const segments of prompts) {
    for (const segment of segments) {
      if (segment.kind === "text") bytes = (bytes ?? 0) + segment.bytes.length;
    }
  }
  return bytes;
}

export const exampleProducer: AnyPluginDefinition = definePlugin({
  type: "example-producer",
  kind: "producer",
  stability: "beta",
  summary: "Produces the size of each prompt's text in bytes.",
  produces: (_params, name) => [EXAMPLE_PRODUCER_PROMPT_BYTES.from(name)],
  readsBody: ["request"],
  create(_params, host) {
    const promptBytes = host.requestWriter(EXAMPLE_PRODUCER_PROMPT_BYTES.from(host.name));
    return {
      produce(request) {
        promptBytes.set(request, textBytes(request.body.promptSegments()));
      },
    };
  },
});
