import { gunzipSync } from "node:zlib";
import { PollFailure, printable } from "./poll-failure.ts";

/** The content encodings that a page may have. */
export type PageEncoding = "identity" | "gzip";

/** Reads a Content-Encoding header. Undefined for encodings that are not supported. */
export function pageEncoding(header: string | readonly string[] | undefined): PageEncoding | undefined {
  switch (header?.toString().trim().toLowerCase()) {
    case undefined:
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

/** Joins the chunks of a page and unpacks them. Bounds the unpacked size: what a small page unpacks to may be huge. */
export function pageBody(
  chunks: readonly Uint8Array[],
  encoding: PageEncoding,
  maxBodyBytes: number,
): Uint8Array | PollFailure {
  const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
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
