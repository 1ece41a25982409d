/** Types of errors of the sidecar's own. */
export type ErrorType =
  | "BadRequestError"
  | "PayloadTooLarge"
  | "ServiceUnavailable"
  | "BadGateway"
  | "NotImplemented"
  | "GatewayTimeout"
  | "InternalError";

const statusOf: Readonly<Record<ErrorType, number>> = {
  BadRequestError: 400,
  PayloadTooLarge: 413,
  ServiceUnavailable: 503,
  BadGateway: 502,
  NotImplemented: 501,
  GatewayTimeout: 504,
  InternalError: 500,
};

/** An answer that the sidecar makes itself. */
export interface ErrorReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** An error in the shape of vLLM's. */
export function errorReply(type: ErrorType, message: string): ErrorReply {
  const code = statusOf[type];
  const text = JSON.stringify({ object: "error", message, type, param: "", code });
  return { status: code, contentType: "application/json", body: Buffer.from(text) };
}

export function textReply(status: number, text: string): ErrorReply {
  return { status, contentType: "text/plain; charset=utf-8", body: Buffer.from(text) };
}
