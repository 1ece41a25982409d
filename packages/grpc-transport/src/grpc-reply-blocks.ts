import { encodeHeaderBlock } from "./hpack-encoder.ts";
import { type RpcEnd, rpcStatus } from "./rpc-transport.ts";

const contentType = ["content-type", "application/grpc"] as const;

/** Header block before the first message. */
export const replyHeaders: Buffer = encodeHeaderBlock([[":status", "200"], contentType]);

const okTrailers = encodeHeaderBlock([["grpc-status", "0"]]);

/** Longest `grpc-message`, before it is percent-encoded. */
const maxMessageChars = 1024;

/** Header block that ends an RPC which sent headers. */
export function replyTrailers(end: RpcEnd): Buffer {
  if (end.code === rpcStatus.ok && end.message === "") return okTrailers;
  return encodeHeaderBlock(statusFields(end));
}

/** Header block that answers an RPC at once, without any message. */
export function trailersOnly(end: RpcEnd): Buffer {
  const fields: (readonly [string, string])[] = [[":status", "200"], contentType, ...statusFields(end)];
  if (end.code === rpcStatus.unimplemented) fields.push(["grpc-accept-encoding", "identity,gzip"]);
  return encodeHeaderBlock(fields);
}

/** Header block and body for a request that is not gRPC. */
export function plainAnswer(status: number, text: string): { block: Buffer; body: Buffer } {
  const body = Buffer.from(`${text}\n`);
  const fields: (readonly [string, string])[] = [
    [":status", `${status}`],
    ["content-type", "text/plain; charset=utf-8"],
    ["content-length", `${body.length}`],
  ];
  if (status === 405) fields.push(["allow", "POST"]);
  return { block: encodeHeaderBlock(fields), body };
}

function statusFields(end: RpcEnd): (readonly [string, string])[] {
  const fields: (readonly [string, string])[] = [["grpc-status", `${end.code}`]];
  if (end.message !== "") fields.push(["grpc-message", percentEncode(end.message.slice(0, maxMessageChars))]);
  return fields;
}

/** Bytes of UTF-8 outside printable ASCII, and the percent sign, as %XX. Source: the gRPC over HTTP/2 specification. */
function percentEncode(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) encoded += String.fromCharCode(byte);
    else encoded += `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  // A field value may not begin or end with a space.
  return encoded.replace(/^ | $/g, "%20");
}
