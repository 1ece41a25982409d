import { elements, get, type JsonValue, keepValue, numberValue, rawBytes } from "@pointsman/core/json";
import type { ImageEntry } from "./image-entry.ts";

const nullText = Buffer.from("null");
const maxTokens = 0x7fff_ffff;

/**
 * Reads the images of `features`. Missing values: without hashes there are none; without `kwargs_data` each has null.
 * A text says what is wrong.
 */
export function readImageEntries(features: JsonValue | undefined): readonly ImageEntry[] | string {
  if (features === undefined || features.kind === "null") return [];
  if (features.kind !== "object") return "features must be an object";
  const hashes = imageList(features, "mm_hashes");
  const placeholders = imageList(features, "mm_placeholders");
  const kwargs = imageList(features, "kwargs_data");
  for (const list of [hashes, placeholders, kwargs]) if (typeof list === "string") return list;
  if (!Array.isArray(hashes) || hashes.length === 0) return [];
  if (!Array.isArray(placeholders)) return "mm_placeholders[image] is required when mm_hashes[image] is set";
  if (placeholders.length !== hashes.length) {
    return `mm_hashes has ${hashes.length} images, mm_placeholders ${placeholders.length}`;
  }
  if (Array.isArray(kwargs) && kwargs.length !== hashes.length) {
    return `mm_hashes has ${hashes.length} images, kwargs_data ${kwargs.length}`;
  }
  const entries: ImageEntry[] = [];
  for (const [i, hash] of hashes.entries()) {
    if (hash.kind !== "string") return `mm_hashes[${i}] must be a string`;
    const place = placeholders[i]!;
    if (place.kind !== "object") return `mm_placeholders[${i}] must be an object`;
    const offset = count(get(place, "offset"));
    if (offset === undefined) return `mm_placeholders[${i}].offset must be a whole number from 0 on`;
    const lengthTokens = count(get(place, "length"));
    if (lengthTokens === undefined) return `mm_placeholders[${i}].length must be a whole number from 0 on`;
    const given = Array.isArray(kwargs) ? kwargs[i]! : undefined;
    if (given !== undefined && given.kind !== "string" && given.kind !== "null") {
      return `kwargs_data[${i}] must be a string or null`;
    }
    // An empty string stands for "not given".
    const isGiven = given !== undefined && given.kind === "string" && given.end - given.start > 2;
    entries.push({ hash: rawBytes(hash), offset, lengthTokens, kwargs: isGiven ? rawBytes(given) : nullText });
  }
  return entries;
}

/** The list of images in one of the features. Missing values: undefined when it is not given. */
function imageList(features: JsonValue, name: string): JsonValue[] | string | undefined {
  const feature = get(features, name);
  if (feature === undefined || feature.kind === "null") return undefined;
  if (feature.kind !== "object") return `${name} must be an object`;
  const image = get(feature, "image");
  if (image === undefined || image.kind === "null") return undefined;
  if (image.kind !== "array") return `${name}[image] must be an array`;
  const list: JsonValue[] = [];
  const cursor = elements(image);
  while (cursor.next()) list.push(keepValue(cursor));
  return list;
}

function count(value: JsonValue | undefined): number | undefined {
  const number = numberValue(value);
  return number !== undefined && Number.isInteger(number) && number >= 0 && number <= maxTokens ? number : undefined;
}
