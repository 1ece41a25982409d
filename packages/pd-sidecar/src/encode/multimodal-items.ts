import { elements, get, type JsonValue, rawBytes, stringValue } from "@pointsman/core/json";

/** Parts of messages that an encode server computes. */
const itemTypes: ReadonlySet<string> = new Set(["image_url", "audio_url", "video_url", "input_audio"]);
const urlMembers = ["image_url", "audio_url", "video_url"] as const;

/**
 * Finds the multimodal parts of a chat's messages.
 * Shape: JSON text of each, in order, views of the document's bytes. Parts with the same URL count once, across types;
 * inline audio and parts without a URL always count. Missing values: empty for a body without messages or such parts.
 */
export function multimodalItems(root: JsonValue): Uint8Array[] {
  const items: Uint8Array[] = [];
  const urls = new Set<string>();
  const messages = elements(get(root, "messages"));
  while (messages.next()) {
    const parts = elements(get(messages, "content"));
    while (parts.next()) {
      const type = stringValue(get(parts, "type"));
      if (type === undefined || !itemTypes.has(type)) continue;
      const url = type === "input_audio" ? undefined : urlOf(parts);
      if (url !== undefined) {
        if (urls.has(url)) continue;
        urls.add(url);
      }
      items.push(rawBytes(parts));
    }
  }
  return items;
}

function urlOf(part: JsonValue): string | undefined {
  for (const name of urlMembers) {
    const member = get(part, name);
    const url = stringValue(get(member, "url")) ?? stringValue(member);
    if (url !== undefined && url !== "") return url;
  }
  return undefined;
}
