import { type AnyPluginDefinition, definePlugin, TOKENIZED_PROMPT, type TokenizedPrompt } from "@pointsman/core";

/** Tells whether any of a request's prompts holds an image, a video or audio. */
export function isMultimodal(tokenized: TokenizedPrompt | undefined): boolean {
  return tokenized?.prompts.some(({ features }) => features.length > 0) ?? false;
}

export const alwaysDisaggMultimodalDecider: AnyPluginDefinition = definePlugin({
  type: "always-disagg-multimodal-decider",
  kind: "decider",
  stability: "beta",
  summary: "Says yes when a prompt holds an image, a video or audio.",
  consumes: () => ({ required: [TOKENIZED_PROMPT.from()] }),
  create(_params, host) {
    const prompts = host.requestReader(TOKENIZED_PROMPT.from());
    return { disaggregate: (request) => isMultimodal(prompts.get(request)) };
  },
});
