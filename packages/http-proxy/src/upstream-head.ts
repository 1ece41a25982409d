import type { HeaderMutation } from "@pointsman/core";
import { mutatedFields } from "./header-fields.ts";
import type { RequestHead } from "./request-head.ts";

const methodsWithBody: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** The head of the request as the model server gets it. `framing`: the body's size, chunks, or that there is no body. */
export function upstreamHead(
  request: RequestHead,
  mutation: HeaderMutation,
  framing: number | "chunked" | "none",
  hostPort: string,
  refused: (name: string) => void,
): string {
  const fields = mutatedFields(request.headers, mutation, refused);
  let head = `${request.method} ${request.path} HTTP/1.1\r\n`;
  if (!fields.some((part, i) => i % 2 === 0 && part === "host")) {
    head += `host: ${request.authority === "" ? hostPort : request.authority}\r\n`;
  }
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  if (typeof framing === "number") head += `content-length: ${framing}\r\n`;
  else if (framing === "chunked") head += "transfer-encoding: chunked\r\n";
  else if (methodsWithBody.has(request.method)) head += "content-length: 0\r\n";
  return `${head}\r\n`;
}

/** The body in chunks, with trailers. */
export function chunkedBody(slices: readonly Uint8Array[], trailerLines: string): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let before = "";
  for (const slice of slices) {
    if (slice.length === 0) continue;
    parts.push(Buffer.from(`${before}${slice.length.toString(16)}\r\n`, "latin1"), slice);
    before = "\r\n";
  }
  parts.push(Buffer.from(`${before}0\r\n${trailerLines}\r\n`, "latin1"));
  return parts;
}
