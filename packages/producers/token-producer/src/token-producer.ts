import {
  type AnyPluginDefinition,
  type AttributeKey,
  definePlugin,
  type InferenceRequest,
  type PromptSegment,
  type PromptTokens,
  TOKENIZED_PROMPT,
  type TokenizedPrompt,
} from "@pointsman/core";
import { estimatePrompts } from "./estimate-prompts.ts";
import { audioTokens, imageTokens, videoTokens } from "./media-tokens.ts";
import { type TokenProducerParams, tokenProducerParams } from "./params.ts";
import { type VideoHints, videoHints } from "./video-hints.ts";

const deprecatedType = "tokenizer";

/** What an instance of this name produces. One that goes by the deprecated type's name serves the default consumers. */
function producedKey(name: string): AttributeKey<TokenizedPrompt> {
  return TOKENIZED_PROMPT.from(name === deprecatedType ? undefined : name);
}

export const tokenProducer: AnyPluginDefinition = definePlugin<TokenProducerParams>({
  type: "token-producer",
  aliases: [deprecatedType],
  kind: "producer",
  stability: "beta",
  summary: "Produces the prompt as tokens: the client's own, else estimated from its bytes.",
  params: tokenProducerParams,
  produces: (_params, name) => [producedKey(name)],
  readsBody: ["request"],
  create({ estimate }, host) {
    const writer = host.requestWriter(producedKey(host.name));

    const estimated = (request: InferenceRequest): readonly PromptTokens[] => {
      let hints: VideoHints | undefined;
      const mediaTokens = ({ modality, reference }: PromptSegment & { readonly kind: "media" }): number => {
        if (modality === "image") return imageTokens(estimate.image, reference);
        if (modality === "audio") return audioTokens(reference);
        hints ??= videoHints(request.headers);
        return videoTokens(estimate.video, hints);
      };
      return estimatePrompts(request.body.promptSegments(), mediaTokens);
    };

    return {
      produce(request) {
        const ids = request.body.promptTokenIds();
        const features = request.body.promptFeatures?.();
        const prompts =
          ids?.map((tokenIds, i): PromptTokens => ({ tokenIds, features: features?.[i] ?? [] })) ?? estimated(request);
        const totalTokens = prompts.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
        if (totalTokens > 0) writer.set(request, { prompts, totalTokens, estimated: ids === undefined });
      },
    };
  },
});
