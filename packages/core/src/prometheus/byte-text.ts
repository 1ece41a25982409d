/** The same memory, readable as byte text: text with one character a byte, which keeps every byte and every offset. */
export function textBytes(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const beyondAscii = /[\x80-\xff]/;

/** Reads byte text as UTF-8. Invalid sequences become U+FFFD. */
export function decodeUtf8(byteText: string): string {
  return beyondAscii.test(byteText) ? Buffer.from(byteText, "latin1").toString("utf8") : byteText;
}

/** Writes text as UTF-8 in byte text. */
export function encodeUtf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
