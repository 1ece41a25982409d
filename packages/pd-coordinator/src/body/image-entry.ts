import { jsonText, RawJson } from "@pointsman/pd-sidecar/shared";

/** One image of a request, as the rendering service or the client describes it. Texts are JSON as it came. */
export interface ImageEntry {
  readonly hash: Uint8Array;
  /** First token of it in the prompt. */
  readonly offset: number;
  readonly lengthTokens: number;
  /** A string, or null. */
  readonly kwargs: Uint8Array;
}

export interface FeatureOptions {
  readonly kwargs: boolean;
}

/** The `features` of a request with these images. Missing values: undefined without images. */
export function featuresText(entries: readonly ImageEntry[], options: FeatureOptions): RawJson | undefined {
  if (entries.length === 0) return undefined;
  const features = {
    mm_hashes: { image: entries.map(({ hash }) => new RawJson(hash)) },
    mm_placeholders: { image: entries.map(({ offset, lengthTokens }) => ({ offset, length: lengthTokens })) },
    kwargs_data: options.kwargs ? { image: entries.map(({ kwargs }) => new RawJson(kwargs)) } : undefined,
  };
  return new RawJson(jsonText(features));
}
