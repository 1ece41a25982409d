import type { ErrorFormat } from "@pointsman/core";
import type { Refusal } from "./request-head.ts";

/** What a client is told about bytes that are no request; `undefined` when there is nobody to tell. */
export function clientErrorRefusal(code: string | undefined): Refusal | undefined {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, code: "RequestTimeout", message: "the request did not arrive in time" };
    case "HPE_HEADER_OVERFLOW":
      return { status: 431, code: "HeadersTooLarge", message: "the request's headers are too large" };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { status: 413, code: "PayloadTooLarge", message: "a chunk extension is too large" };
    case "HPE_INVALID_VERSION":
      return { status: 505, code: "HttpVersionNotSupported", message: "the only versions spoken here are 1.1 and 1.0" };
    default:
      if (code?.startsWith("HPE_") !== true) return undefined;
      return { status: 400, code: "BadRequest", message: "the bytes received are not a valid HTTP/1.1 request" };
  }
}

/** A whole HTTP/1.1 response as text, after which the connection ends. */
export function lastResponse(refusal: Refusal, reasonPhrase: string, format: ErrorFormat | undefined): string {
  const { body, headers } = refusalReply(refusal, format);
  let head = `HTTP/1.1 ${refusal.status} ${reasonPhrase}\r\n`;
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  head += `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n`;
  return `${head}\r\n${body}`;
}

/** The body of a refusal in the picker's form, and its headers without framing. Text when `format` is absent. */
export function refusalReply(
  { status, code, message, headers = [] }: Refusal,
  format: ErrorFormat | undefined,
): { readonly body: string; readonly headers: readonly (readonly [name: string, value: string])[] } {
  return format === "json"
    ? {
        body: JSON.stringify({ error: { message, type: code, param: null, code: status } }),
        headers: [["content-type", "application/json"], ...headers],
      }
    : {
        body: `inference error: ${code} - ${message}`,
        headers: [["content-type", "text/plain; charset=utf-8"], ...headers],
      };
}
