import { elements, get, type JsonValue, keepValue, stringValue } from "@pointsman/core/json";

/** One image of a chat, in place. */
export interface ImagePart {
  /** The part of a message's content. */
  readonly part: JsonValue;
  /** Its `image_url` object. */
  readonly imageUrl: JsonValue;
  /** The string in it. */
  readonly url: JsonValue;
}

/** Finds the parts of a chat's messages that are images with a URL, in order. Missing values: empty for a body of another shape. */
export function imageParts(root: JsonValue): ImagePart[] {
  const found: ImagePart[] = [];
  const messages = elements(get(root, "messages"));
  while (messages.next()) {
    const parts = elements(get(messages, "content"));
    while (parts.next()) {
      if (stringValue(get(parts, "type")) !== "image_url") continue;
      const imageUrl = get(parts, "image_url");
      const url = get(imageUrl, "url");
      if (imageUrl === undefined || url?.kind !== "string") continue;
      found.push({ part: keepValue(parts), imageUrl, url });
    }
  }
  return found;
}
