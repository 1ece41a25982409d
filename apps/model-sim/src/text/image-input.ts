import { createHash } from "node:crypto";
import { hashText, mix32 } from "../random-stream.ts";
import { type TokenList, vocabularySize } from "./tokenizer.ts";

/** One image of a prompt. */
export interface ImageInput {
  /** Names its content. */
  readonly hash: string;
  readonly tokens: number;
}

/** What rendering makes of every image. */
export const tokensPerImage = 64;

/** Stands in a rendered prompt for each token of an image. */
export const imagePlaceholderToken = 151_655;

/** The image at a URL. Nothing is fetched: equal URLs are equal images. */
export function imageOfUrl(url: string): ImageInput {
  return { hash: createHash("sha256").update(url).digest("hex"), tokens: tokensPerImage };
}

/** Ids that are equal for equal images only, so that prefix caches tell images apart. */
export function imageTokenId({ hash }: ImageInput, index: number): number {
  return mix32(hashText(hash, 0) + Math.imul(index, 0x9e3779b9)) % vocabularySize;
}

export function addImageTokens(image: ImageInput, tokens: TokenList): void {
  for (let index = 0; index < image.tokens; index += 1) tokens.addToken(imageTokenId(image, index));
}
