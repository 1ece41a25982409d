import { gunzipSync } from "node:zlib";
import { PollFailure, printable } from "./poll-failure.ts";

/** The content encodings that a page may have. */
export type PageEncoding = "identity" | "gzip";

/** Reads a Content-Encoding header, "" where there is none. Undefined for encodings that are not supported. */
export function pageEncoding(header: string): PageEncoding | undefined {
  switch (header.trim().toLowerCase()) {
    case "":
    case "identity":
      return "identity";
    case "gzip":
    case "x-gzip":
      return "gzip";
    default:
      return undefined;
  }
}

/** Unpacks a page. Bounds the unpacked size: what a small page unpacks to may be huge. */
export function unpackedPage(body: Uint8Array, encoding: PageEncoding, maxBodyBytes: number): Uint8Array | PollFailure {
  if (encoding === "identity") return body;
  try {
    return gunzipSync(body, { maxOutputLength: maxBodyBytes });
  } catch (thrown) {
    if (thrown instanceof RangeError && "code" in thrown && thrown.code === "ERR_BUFFER_TOO_LARGE") {
      return new PollFailure("bad-answer", `the unpacked page is larger than the limit of ${maxBodyBytes} bytes`);
    }
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return new PollFailure("bad-answer", printable(`the page is not valid gzip: ${text}`));
  }
}
