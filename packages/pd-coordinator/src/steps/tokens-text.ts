import { jsonText, RawJson } from "@pointsman/pd-sidecar/shared";
import { featuresText } from "../body/image-entry.ts";
import type { RequestContext } from "../pipeline/request-context.ts";

/** The `tokens` of a chat, so that no server has to render it again. Missing values: undefined before it is rendered. */
export function tokensText({ tokens, images }: RequestContext): Uint8Array | undefined {
  if (tokens === undefined) return undefined;
  return jsonText({ token_ids: new RawJson(tokens.text), features: featuresText(images, { kwargs: false }) });
}
