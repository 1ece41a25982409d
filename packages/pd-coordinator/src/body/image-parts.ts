import { elements, get, type JsonValue, keepValue, stringValue } from "@pointsman/core/json";

/** One image of a chat, in place. */
export interface ImagePart {
  /** The part of a message's content. */
  readonly part: JsonValue;
  /** Its `image_url`: an object, or the URL itself. */
  readonly imageUrl: JsonValue;
  /** The string with the URL. */
  readonly url: JsonValue;
}

/**
 * Finds the parts of a chat's messages that are images with a URL, in order, in every shape that vLLM fetches: of type
 * `image_url`, of type `input_image`, or without a type. Missing values: empty for a body of another shape.
 */
export function imageParts(root: JsonValue): ImagePart[] {
  const found: ImagePart[] = [];
  const messages = elements(get(root, "messages"));
  while (messages.next()) {
    const parts = elements(get(messages, "content"));
    while (parts.next()) {
      if (!mayBeImage(get(parts, "type"))) continue;
      const imageUrl = get(parts, "image_url");
      const url = imageUrl?.kind === "string" ? imageUrl : get(imageUrl, "url");
      if (imageUrl === undefined || url?.kind !== "string") continue;
      found.push({ part: keepValue(parts), imageUrl, url });
    }
  }
  return found;
}

function mayBeImage(type: JsonValue | undefined): boolean {
  if (type === undefined || type.kind === "null") return true;
  const name = stringValue(type);
  return name === "image_url" || name === "input_image";
}
