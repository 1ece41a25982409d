import { encodeStruct, type StructObject } from "./struct-codec.ts";
import { varintSize, WireWriter } from "./wire-writer.ts";

export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** Bytes of a field with a tag of one byte and this many bytes of content. */
function fieldSize(contentBytes: number): number {
  return 1 + varintSize(contentBytes) + contentBytes;
}

function headerSize(name: string, value: string): number {
  return fieldSize(name.length) + fieldSize(value.length);
}

function headerMutationSize(set: HeaderPairs, remove: readonly string[]): number {
  let size = 0;
  for (let at = 0; at < set.length; at++) {
    const pair = set[at]!;
    size += fieldSize(fieldSize(headerSize(pair[0], pair[1])));
  }
  for (let at = 0; at < remove.length; at++) size += fieldSize(remove[at]!.length);
  return size;
}

function writeHeaderMutation(writer: WireWriter, set: HeaderPairs, remove: readonly string[]): void {
  for (let at = 0; at < set.length; at++) {
    const pair = set[at]!;
    const header = headerSize(pair[0], pair[1]);
    writer.varint(10);
    writer.varint(fieldSize(header));
    writer.varint(10);
    writer.varint(header);
    writer.latin1(10, pair[0]);
    writer.latin1(26, pair[1]);
  }
  for (let at = 0; at < remove.length; at++) writer.latin1(18, remove[at]!);
}

/** Encodes the reply to request headers (field 1) or response headers (field 2). `metadata` is an encoded `Struct`. */
export function encodeHeadersResponse(
  phase: "request" | "response",
  set: HeaderPairs,
  remove: readonly string[],
  options: { readonly clearRouteCache?: boolean; readonly metadata?: Uint8Array | undefined } = {},
): Uint8Array {
  const { clearRouteCache = false, metadata } = options;
  // Sizes first, so that each byte is written once, at its place.
  const mutation = headerMutationSize(set, remove);
  const common = fieldSize(mutation) + (clearRouteCache ? 2 : 0);
  const response = fieldSize(common);
  const writer = new WireWriter(
    fieldSize(response) + (metadata === undefined ? 0 : 1 + fieldSize(metadata.length)) + WireWriter.slackBytes,
  );
  writer.varint(phase === "request" ? 10 : 18);
  writer.varint(response);
  writer.varint(10);
  writer.varint(common);
  writer.varint(18);
  writer.varint(mutation);
  writeHeaderMutation(writer, set, remove);
  if (clearRouteCache) writer.varintField(40, 1);
  if (metadata !== undefined) writer.bytes(66, metadata);
  return writer.finish();
}

/**
 * Encodes all of a body reply but the body's own bytes, which follow: the body is the last field of the innermost
 * message, so that it can be sent as it was received.
 */
export function encodeBodyResponsePrefix(
  phase: "request" | "response",
  bodyBytes: number,
  endOfStream: boolean,
  metadata?: StructObject,
): Uint8Array {
  const streamed = (endOfStream ? 2 : 0) + fieldSize(bodyBytes);
  const mutation = fieldSize(streamed);
  const common = fieldSize(mutation);
  const response = fieldSize(common);
  const writer = new WireWriter(48);
  if (metadata !== undefined) writer.bytes(66, encodeStruct(metadata));
  writer.varint(phase === "request" ? 26 : 34);
  writer.varint(response);
  writer.varint(10);
  writer.varint(common);
  writer.varint(26);
  writer.varint(mutation);
  writer.varint(26);
  writer.varint(streamed);
  if (endOfStream) writer.varintField(16, 1);
  writer.varint(10);
  writer.varint(bodyBytes);
  return writer.finish();
}

/** Encodes the reply to a piece of a response body that the proxy keeps, to send it on as it is. */
export function encodeKeptBodyResponse(metadata?: StructObject): Uint8Array {
  // An empty `CommonResponse`: go on, change nothing.
  if (metadata === undefined) return Uint8Array.of(34, 2, 10, 0);
  const writer = new WireWriter(128);
  writer.bytes(66, encodeStruct(metadata));
  writer.varint(34);
  writer.varint(2);
  writer.varint(10);
  writer.varint(0);
  return writer.finish();
}

/**
 * Encodes all but the bytes, which follow, of a reply that puts them in the place of a piece of a response body. With
 * `contentLength` the header says their number too, which a proxy that has buffered the body demands.
 */
export function encodeReplacedBodyResponsePrefix(
  bodyBytes: number,
  options: { readonly metadata?: StructObject | undefined; readonly contentLength?: boolean } = {},
): Uint8Array {
  const { metadata, contentLength = false } = options;
  const set: HeaderPairs = contentLength ? [["content-length", String(bodyBytes)]] : [];
  const headers = headerMutationSize(set, []);
  const mutation = fieldSize(bodyBytes);
  const common = (contentLength ? fieldSize(headers) : 0) + fieldSize(mutation);
  const writer = new WireWriter(128);
  if (metadata !== undefined) writer.bytes(66, encodeStruct(metadata));
  writer.varint(34);
  writer.varint(fieldSize(common));
  writer.varint(10);
  writer.varint(common);
  if (contentLength) {
    writer.varint(18);
    writer.varint(headers);
    writeHeaderMutation(writer, set, []);
  }
  writer.varint(26);
  writer.varint(mutation);
  writer.varint(10);
  writer.varint(bodyBytes);
  return writer.finish();
}

/** Encodes the reply to trailers, which changes nothing in them. */
export function encodeTrailersResponse(phase: "request" | "response", metadata?: StructObject): Uint8Array {
  const tag = phase === "request" ? 42 : 50;
  if (metadata === undefined) return Uint8Array.of(tag, 0);
  const writer = new WireWriter(128);
  writer.varint(tag);
  writer.varint(0);
  writer.bytes(66, encodeStruct(metadata));
  return writer.finish();
}

/** Encodes a reply to the client in place of the upstream's. */
export function encodeImmediateResponse(status: number, body: string, headers: HeaderPairs): Uint8Array {
  const http = new WireWriter(8);
  http.varintField(8, status);
  const immediate = new WireWriter(128);
  immediate.bytes(10, http.finish());
  if (headers.length > 0) {
    const mutation = new WireWriter(headerMutationSize(headers, []) + WireWriter.slackBytes);
    writeHeaderMutation(mutation, headers, []);
    immediate.bytes(18, mutation.finish());
  }
  immediate.string(26, body);
  const writer = new WireWriter(160);
  writer.bytes(58, immediate.finish());
  return writer.finish();
}
