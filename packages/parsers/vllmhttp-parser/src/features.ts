import type { MultiModalFeature } from "@pointsman/core";
import type { TypeFaults } from "@pointsman/core/body";
import {
  elements,
  get,
  type JsonCursor,
  type JsonValue,
  keepValue,
  members,
  numberValue,
  stringValue,
} from "@pointsman/core/json";

const featuresType =
  'struct { MMHashes map[string][]string "json:\\"mm_hashes\\""; ' +
  'MMPlaceholders map[string][]requesthandling.wirePlaceholder "json:\\"mm_placeholders\\"" }';
const hashesField = ".features.mm_hashes";
const placeholdersField = ".features.mm_placeholders";
const placeholderFields = "wirePlaceholder.features.mm_placeholders";

/** Media that a request may have. */
export const maxMedia: number = 16_384;

/** Tells whether `features` hold more media, modalities or placeholders than are read. */
export function hasTooManyMedia(features: JsonValue | undefined): boolean {
  for (const key of ["mm_hashes", "mm_placeholders"]) {
    let count = 0;
    const lists = members(get(features, key));
    while (lists.next()) {
      if (++count > maxMedia) return true;
      const list = elements(lists);
      // A modality without media counts as one.
      for (let i = 0; list.next(); i++) if (i > 0 && ++count > maxMedia) return true;
    }
  }
  return false;
}

/** Checks the types in `features`: hashes and placeholders of media, lists by modality. */
export function checkFeatures(features: JsonValue | undefined, faults: TypeFaults): void {
  if (!faults.expect(features, ".features", featuresType, "object")) return;
  const hashes = get(features, "mm_hashes");
  if (faults.expect(hashes, hashesField, "map[string][]string", "object")) {
    const lists = members(hashes);
    while (lists.next()) {
      if (!faults.expect(lists, hashesField, "[]string", "array")) continue;
      const list = elements(lists);
      while (list.next()) faults.expect(list, hashesField, "string", "string");
    }
  }
  const placeholders = get(features, "mm_placeholders");
  if (faults.expect(placeholders, placeholdersField, "map[string][]requesthandling.wirePlaceholder", "object")) {
    const lists = members(placeholders);
    while (lists.next()) {
      if (!faults.expect(lists, placeholdersField, "[]requesthandling.wirePlaceholder", "array")) continue;
      const list = elements(lists);
      while (list.next()) {
        if (!faults.expect(list, placeholdersField, "requesthandling.wirePlaceholder", "object")) continue;
        faults.expectInteger(get(list, "offset"), `${placeholderFields}.offset`);
        faults.expectInteger(get(list, "length"), `${placeholderFields}.length`);
      }
    }
  }
}

/**
 * Reads media from checked `features`, ordered by place. A hash and a placeholder belong together by their place in the
 * lists of a modality; one without the other is left out, and so is a placeholder that is not within the tokens.
 * Missing values: a null hash is "".
 */
export function readFeatures(features: JsonValue | undefined, tokens: number): readonly MultiModalFeature[] {
  const found: MultiModalFeature[] = [];
  const placeholders = byModality(get(features, "mm_placeholders"));
  for (const [modality, hashes] of byModality(get(features, "mm_hashes"))) {
    const hash = elements(hashes);
    const place = elements(placeholders.get(modality));
    while (hash.next() && place.next()) {
      const feature = featureOf(modality, hash, place);
      const { offsetTokens, lengthTokens } = feature;
      if (offsetTokens < 0 || lengthTokens <= 0 || offsetTokens + lengthTokens > tokens) continue;
      found.push(feature);
    }
  }
  return found.sort((a, b) => a.offsetTokens - b.offsetTokens);
}

function featureOf(modality: string, hash: JsonCursor, place: JsonCursor): MultiModalFeature {
  return {
    modality,
    hash: stringValue(hash) ?? "",
    offsetTokens: numberValue(get(place, "offset")) ?? 0,
    lengthTokens: numberValue(get(place, "length")) ?? 0,
  };
}

/** The lists of an object by key; of repeated keys the last one counts. */
function byModality(value: JsonValue | undefined): ReadonlyMap<string, JsonValue> {
  const lists = new Map<string, JsonValue>();
  const fields = members(value);
  while (fields.next()) lists.set(fields.key() ?? "", keepValue(fields));
  return lists;
}
