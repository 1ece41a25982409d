import type { TokenizedPrompt } from "@pointsman/core";

/** A multimodal item of a request. */
export interface RequestItem {
  readonly hash: string;
  readonly modality: Modality;
}

/** Modalities that metrics tell apart; the rest is `other`. */
export const modalities = ["image", "video", "audio", "other"] as const;
export type Modality = (typeof modalities)[number];

/** Items of one request that are looked at. */
export const maxItemsPerRequest = 4096;
const maxHashChars = 256;

/** The distinct items of a request's prompts, in order; those without a hash, or with one of over 256 characters, are left out. */
export function requestItems(tokenized: TokenizedPrompt | undefined): readonly RequestItem[] {
  const items = new Map<string, RequestItem>();
  for (const { features } of tokenized?.prompts ?? []) {
    for (const { hash, modality } of features) {
      if (hash === "" || hash.length > maxHashChars || items.has(hash)) continue;
      if (items.size >= maxItemsPerRequest) return [...items.values()];
      items.set(hash, { hash, modality: modalities.find((known) => known === modality) ?? "other" });
    }
  }
  return [...items.values()];
}
