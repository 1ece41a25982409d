import type { ServerResponse } from "node:http";

const typeOfStatus: Readonly<Record<number, string>> = {
  400: "BadRequestError",
  404: "NotFoundError",
  405: "MethodNotAllowedError",
  409: "ConflictError",
  413: "PayloadTooLargeError",
  415: "UnsupportedMediaTypeError",
  500: "InternalServerError",
  503: "ServiceUnavailableError",
};

/** Ends one request with an HTTP status and a body in OpenAI's error shape. */
export class ApiError extends Error {
  readonly status: number;
  readonly type: string;
  /** The request field at fault. */
  readonly param: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    details: {
      readonly param?: string;
      readonly type?: string;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.type = details.type ?? typeOfStatus[status] ?? (status >= 500 ? "InternalServerError" : "BadRequestError");
    this.param = details.param;
    this.headers = details.headers ?? {};
  }
}

/** The client went away before its request was read; nobody is there to answer. */
export class ClientGone extends Error {
  constructor() {
    super("the client closed the connection before its request was complete");
    this.name = "ClientGone";
  }
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendJsonText(response, status, JSON.stringify(value));
}

export function sendJsonText(response: ServerResponse, status: number, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
}

export function sendError(response: ServerResponse, error: ApiError): void {
  for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
  const { message, type, status } = error;
  sendJson(response, status, { error: { message, type, param: error.param ?? null, code: status } });
}
