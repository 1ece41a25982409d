/** How a request can end without a model server, and the HTTP status the client sees. One table for all. */
export const httpStatusOf = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  PreconditionFailed: 412,
  PayloadTooLarge: 413,
  ResourceExhausted: 429,
  Internal: 500,
  ServiceUnavailable: 503,
} as const;

export type RequestErrorCode = keyof typeof httpStatusOf;

/** Values of the header that tells a client why its request was dropped. */
export type DropReason =
  | "rejected-saturated"
  | "rejected-no-endpoints"
  | "rejected-ttl-expired"
  | "rejected-context-cancelled"
  | "rejected-shutting-down"
  | "evicted";

const brand = Symbol.for("pointsman.RequestError");

/**
 * Ends one request with a status and a text.
 *
 * An expected outcome: stages return it. It carries no stack, so that rejecting costs little under overload. Plugins
 * may return it from every hook that can refuse a request; a thrown one is treated the same.
 */
export class RequestError {
  readonly code: RequestErrorCode;
  readonly message: string;
  readonly reason: DropReason | undefined;

  constructor(code: RequestErrorCode, message: string, reason?: DropReason) {
    this.code = code;
    this.message = message;
    this.reason = reason;
  }

  static {
    // Instances are known by a mark, so that one from a plugin's own copy of this package is recognised.
    Object.defineProperty(RequestError.prototype, brand, { value: true });
    Object.defineProperty(RequestError, Symbol.hasInstance, {
      value: (value: unknown) => typeof value === "object" && value !== null && brand in value,
    });
  }

  get httpStatus(): number {
    return httpStatusOf[this.code];
  }

  /** Body of the reply: `inference error: <Code> - <message>`. */
  get body(): string {
    return `inference error: ${this.code} - ${this.message}`;
  }
}
