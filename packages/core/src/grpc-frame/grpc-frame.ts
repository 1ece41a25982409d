/** Bytes before each message of a gRPC body: a flag and the message's length. */
export const grpcHeaderBytes = 5;

/** The message of a body, or what is wrong with the body, in words for the client. */
export type GrpcMessage =
  | { readonly ok: true; readonly message: Uint8Array }
  | { readonly ok: false; readonly problem: string };

/**
 * Gives the first message of a whole body, as a view of it. What follows that message is not looked at.
 * Errors: a body that is cut, a compressed message and a flag that gRPC does not know are not ok; never throws.
 * Source: gRPC over HTTP/2, "Length-Prefixed-Message".
 */
export function readGrpcMessage(body: Uint8Array): GrpcMessage {
  if (body.length < grpcHeaderBytes)
    return refused(`a message starts with ${grpcHeaderBytes} bytes, got ${body.length}`);
  if (body[0] === 1) return refused("compressed messages are not understood");
  if (body[0] !== 0) return refused(`a message starts with 0 or 1, got ${body[0]}`);
  const length = lengthAt(body, 1);
  const there = body.length - grpcHeaderBytes;
  if (there < length) return refused(`a message of ${length} bytes is announced, got ${there}`);
  return { ok: true, message: body.subarray(grpcHeaderBytes, grpcHeaderBytes + length) };
}

/** An unsigned number of four bytes, the most significant first. */
export function lengthAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function refused(problem: string): GrpcMessage {
  return { ok: false, problem };
}
