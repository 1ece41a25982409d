/**
 * The few ext_proc messages that the bench's own client sends and reads, written out in protobuf wire format.
 * Field numbers: envoy/service/ext_proc/v3/external_processor.proto.
 */
const lengthDelimited = 2;
const varintType = 0;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function field(number: number, value: Uint8Array | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([varint((number << 3) | lengthDelimited), varint(bytes.length), bytes]);
}

const endOfStream = Buffer.concat([varint((2 << 3) | varintType), varint(1)]);

function headers(number: number, pairs: Readonly<Record<string, string>>): Buffer {
  const map = Buffer.concat(
    Object.entries(pairs).map(([key, value]) => field(1, Buffer.concat([field(1, key), field(3, value)]))),
  );
  return field(number, field(1, map));
}

export const requestHeaders = (pairs: Readonly<Record<string, string>>): Buffer => headers(2, pairs);
export const responseHeaders = (pairs: Readonly<Record<string, string>>): Buffer => headers(3, pairs);
/** The whole body in one message. */
export const requestBody = (body: Uint8Array): Buffer => field(4, Buffer.concat([field(1, body), endOfStream]));
/** One chunk of an answer that goes on. */
export const responseBody = (chunk: Uint8Array): Buffer => field(5, field(1, chunk));

export type ReplyKind = "request-headers" | "response-headers" | "request-body" | "response-body" | "immediate";

const replyKinds: ReadonlyMap<number, ReplyKind> = new Map([
  [1, "request-headers"],
  [2, "response-headers"],
  [3, "request-body"],
  [4, "response-body"],
  [7, "immediate"],
]);

/** What a ProcessingResponse answers; `undefined` for one that has no such field. */
export function replyKind(message: Buffer): ReplyKind | undefined {
  for (let at = 0; at < message.length; ) {
    const tag = readVarint(message, at);
    const kind = replyKinds.get(tag.value >> 3);
    if (kind !== undefined) return kind;
    const length = readVarint(message, tag.end);
    at = (tag.value & 7) === lengthDelimited ? length.end + length.value : length.end;
  }
  return undefined;
}

function readVarint(bytes: Buffer, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let at = start, shift = 0; at < bytes.length && shift < 32; at++, shift += 7) {
    const byte = bytes[at]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return { value, end: at + 1 };
  }
  throw new Error("a reply ends within a varint");
}
