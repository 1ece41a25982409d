import { type JsonValue, members } from "../json/index.ts";

/**
 * Puts `model` in the place of every top-level `model` of an object and leaves all other bytes as they are, the white
 * space around it included. An object without one gets it as its first member.
 * Shape: slices of the document with the name between them, no slice empty. Whichever of repeated members a server
 * counts, it reads the new name.
 */
export function replaceModel(root: JsonValue, model: string): readonly Uint8Array[] {
  const { bytes } = root.document;
  const name = Buffer.from(JSON.stringify(model));
  const parts: Uint8Array[] = [];
  let from = 0;
  let count = 0;
  const fields = members(root);
  while (fields.next()) {
    count++;
    if (!fields.keyIs("model")) continue;
    parts.push(bytes.subarray(from, fields.start), name);
    from = fields.end;
  }
  if (parts.length === 0) {
    from = root.start + 1;
    parts.push(bytes.subarray(0, from), Buffer.from(`"model":${name}${count > 0 ? "," : ""}`));
  }
  parts.push(bytes.subarray(from));
  return parts;
}
