import { elements, get, type JsonValue, stringValue } from "@pointsman/core/json";
import type { ImagePart } from "./image-parts.ts";

const otherMedia = ["video_url", "audio_url"] as const;

/**
 * Finds the first part of a chat's messages for which a model server would fetch a URL although it is none of
 * `images`, which `imageParts` found: an image of another shape, a video or sound that is no data URL. A text says where it is and what is taken.
 * Missing values: undefined when there is none. A member that is null names nothing to fetch.
 */
export function remotePartProblem(root: JsonValue, images: readonly ImagePart[]): string | undefined {
  const known = new Set(images.map(({ part }) => part.start));
  const messages = elements(get(root, "messages"));
  for (let message = 0; messages.next(); message++) {
    const parts = elements(get(messages, "content"));
    for (let part = 0; parts.next(); part++) {
      const where = `messages[${message}].content[${part}]`;
      if (isGiven(get(parts, "image_url")) && !known.has(parts.start)) {
        return (
          `${where}: image_url is taken as {"type":"image_url","image_url":{"url":"..."}}, ` +
          `and with a string in its place; type may be input_image or missing`
        );
      }
      for (const name of otherMedia) {
        const media = get(parts, name);
        if (isGiven(media) && !isData(media)) return `${where}: ${name} is not fetched; send it as a data URL`;
      }
    }
  }
  return undefined;
}

function isGiven(value: JsonValue | undefined): value is JsonValue {
  return value !== undefined && value.kind !== "null";
}

function isData(media: JsonValue): boolean {
  const url = media.kind === "object" ? get(media, "url") : media;
  // Without a URL there is nothing to fetch.
  return url === undefined || url.kind === "null" || stringValue(url)?.startsWith("data:") === true;
}
