import { ApiError } from "../http/api-error.ts";
import { type ImageInput, imageTokenId } from "../text/image-input.ts";
import { checkedTokenIds } from "./prompt-tokens.ts";
import { readObject, wrongType } from "./request-fields.ts";

type Document = Readonly<Record<string, unknown>>;

/**
 * The prompt of a request to /inference/v1/generate: token ids, those of images in the place of their placeholders.
 * Throws `ApiError` 400 that names the field.
 */
export function readGenerateInput(document: Document): { ids: Uint32Array; images: readonly ImageInput[] } {
  const given = document["token_ids"];
  if (!Array.isArray(given)) throw wrongType("token_ids", "a list of token ids", given);
  const ids = checkedTokenIds(given, "token_ids");
  const features = readObject(document, "features") ?? {};
  const hashes = imageList(features, "mm_hashes");
  const places = imageList(features, "mm_placeholders");
  if (hashes.length !== places.length) {
    const message = `"features" has ${hashes.length} image hashes and ${places.length} placeholders.`;
    throw new ApiError(400, message, { param: "features" });
  }
  const images: ImageInput[] = [];
  for (const [i, hash] of hashes.entries()) {
    const place: unknown = places[i];
    if (typeof hash !== "string") throw wrongType(`features.mm_hashes.image[${i}]`, "a string", hash);
    const { offset, length }: Document = typeof place === "object" && place !== null ? { ...place } : {};
    if (!isCount(offset) || !isCount(length) || offset + length > ids.length) {
      throw wrongType(`features.mm_placeholders.image[${i}]`, "an offset and a length inside token_ids", place);
    }
    const image: ImageInput = { hash, tokens: length };
    for (let index = 0; index < length; index += 1) ids[offset + index] = imageTokenId(image, index);
    images.push(image);
  }
  return { ids, images };
}

function imageList(features: Document, field: string): readonly unknown[] {
  const list = readObject(features, field)?.["image"] ?? [];
  if (Array.isArray(list)) return list;
  throw wrongType(`features.${field}.image`, "a list", list);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
