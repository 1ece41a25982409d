import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { errorText } from "@pointsman/core";
import type { ClusterAccess } from "./cluster-access.ts";
import { asInteger, asRecord, asText } from "./json-value.ts";

/** An answer that is no success, as the API server words it. */
export class ApiError extends Error {
  readonly status: number;
  /** Kubernetes' own word: `NotFound`, `Conflict`, `Expired`. */
  readonly reason: string | undefined;
  /** What the server asks to wait before the next try. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, message: string, reason: string | undefined, retryAfterMs?: number) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT";
  /** Path with query. */
  readonly path: string;
  readonly body?: unknown;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ApiStream {
  readonly path: string;
  /** Longest silence; the connection counts as lost after it. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
  /** The server has accepted the request. */
  onOpen?(): void;
  /** The next bytes. What this throws ends the stream. */
  onChunk(chunk: Buffer): void;
}

const defaultTimeoutMs = 10_000;
const maxAnswerBytes = 4 * 1024 * 1024;
const maxErrorBytes = 64 * 1024;
const maxRetryAfterMs = 30_000;

/** Speaks to the API server over HTTP/1.1 with kept-alive connections. */
export class ApiClient {
  readonly #access: ClusterAccess;
  readonly #userAgent: string;

  /** `program`: what the API server's log calls the requests. */
  constructor(access: ClusterAccess, program: string = "pointsman-epp") {
    this.#access = access;
    this.#userAgent = program;
  }

  /** Where the credentials come from, for people. */
  get origin(): string {
    return this.#access.origin;
  }

  get server(): string {
    return this.#access.server.origin;
  }

  /**
   * Sends a request and reads its JSON answer. Rejects with an `ApiError` for an answer of 400 or more, with another error
   * when there is no answer. Credentials that are refused are read again, once.
   */
  async send(request: ApiRequest): Promise<unknown> {
    try {
      return await this.#send(request);
    } catch (thrown: unknown) {
      if (!(thrown instanceof ApiError) || thrown.status !== 401) throw thrown;
      this.#access.refused();
      return await this.#send(request);
    }
  }

  /** Reads an answer as it comes. Resolves when the server ended it in order; rejects otherwise. */
  async stream({ path, idleMs, signal, onOpen, onChunk }: ApiStream): Promise<void> {
    const response = await this.#open({ method: "GET", path, signal }, idleMs);
    try {
      if (response.statusCode !== 200) throw await errorOf(response, path);
      onOpen?.();
      for await (const chunk of response) {
        // A response without an encoding yields buffers.
        onChunk(chunk as Buffer);
        // A list of megabytes comes faster than it is read: requests get their turn after each piece of it.
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (!response.complete) throw new Error("the connection ended in the middle of the answer");
    } catch (thrown: unknown) {
      if (thrown instanceof ApiError && thrown.status === 401) this.#access.refused();
      throw thrown;
    } finally {
      response.destroy();
    }
  }

  async #send({ method, path, body, timeoutMs = defaultTimeoutMs, signal }: ApiRequest): Promise<unknown> {
    const deadline = AbortSignal.timeout(Math.ceil(timeoutMs));
    const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    try {
      const response = await this.#open({ method, path, body, signal: either }, timeoutMs);
      if ((response.statusCode ?? 0) >= 300) throw await errorOf(response, path);
      const text = await readText(response, maxAnswerBytes);
      return JSON.parse(text);
    } catch (thrown: unknown) {
      if (deadline.aborted && !(thrown instanceof ApiError))
        throw new Error(`no answer within ${Math.ceil(timeoutMs)} ms`, { cause: thrown });
      throw thrown;
    }
  }

  async #open(request: ApiRequest, idleMs: number): Promise<IncomingMessage> {
    const { headers, agent } = await inTime(this.#access.credentials(), idleMs, this.#access.origin);
    const { server } = this.#access;
    const url = new URL(server.pathname.replace(/\/$/, "") + request.path, server);
    const bytes = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const { method, signal } = request;
    const options = {
      method,
      agent,
      headers: {
        ...headers,
        accept: "application/json",
        "user-agent": this.#userAgent,
        ...(bytes === undefined ? {} : { "content-type": "application/json", "content-length": bytes.length }),
      },
      ...(signal === undefined ? {} : { signal }),
    };
    for (;;) {
      const answer = await exchange(url, options, bytes, idleMs);
      // A kept-alive connection may be closed in the moment it is used again; nobody has seen the request then.
      if (!("failure" in answer)) return answer;
      if (!answer.onReusedConnection || signal?.aborted === true) throw answer.failure;
    }
  }
}

/** Credentials may come from a program that hangs; who waits for an answer, for instance to renew a lease, must hear of it. */
async function inTime<T>(credentials: Promise<T>, timeoutMs: number, origin: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`${origin}: no credentials within ${Math.ceil(timeoutMs)} ms`);
    timer = setTimeout(() => reject(error), timeoutMs);
  });
  try {
    return await Promise.race([credentials, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A request that got no answer. */
interface NoAnswer {
  readonly failure: Error;
  readonly onReusedConnection: boolean;
}

function exchange(
  url: URL,
  options: RequestOptions,
  body: Buffer | undefined,
  idleMs: number,
): Promise<IncomingMessage | NoAnswer> {
  const open = url.protocol === "http:" ? httpRequest : httpsRequest;
  return new Promise((resolve) => {
    const request: ClientRequest = open(url, options);
    let silent = false;
    request.setTimeout(idleMs, () => {
      silent = true;
      request.destroy(new Error(`nothing came for ${idleMs} ms`));
    });
    // Answers of which Node makes neither a response nor an error, as a switch to another protocol, end in this.
    request.once("close", () => {
      resolve({ failure: new Error("the connection was closed without an answer"), onReusedConnection: false });
    });
    request.on("error", (failure) => resolve({ failure, onReusedConnection: request.reusedSocket && !silent }));
    request.once("response", (response) => {
      // What goes wrong from here on shows at the response as well.
      resolve(response);
    });
    request.end(body);
  });
}

async function errorOf(response: IncomingMessage, path: string): Promise<ApiError> {
  const status = response.statusCode ?? 0;
  let message: string | undefined;
  let reason: string | undefined;
  try {
    const body = asRecord(JSON.parse(await readText(response, maxErrorBytes)));
    message = asText(body["message"]);
    reason = asText(body["reason"]);
  } catch {
    // A proxy's page, or half of an answer: the status says enough.
  }
  const seconds = Number(response.headers["retry-after"]);
  const retryAfterMs = seconds > 0 ? Math.min(maxRetryAfterMs, seconds * 1000) : undefined;
  const where = path.split("?", 1)[0];
  return new ApiError(
    status,
    `${where}: ${status} ${message?.slice(0, 500) ?? response.statusMessage ?? ""}`,
    reason,
    retryAfterMs,
  );
}

async function readText(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    const part = chunk as Buffer;
    bytes += part.length;
    if (bytes > limit) throw new Error(`the answer has more than ${limit} bytes`);
    chunks.push(part);
  }
  if (!response.complete) throw new Error("the connection ended in the middle of the answer");
  return Buffer.concat(chunks).toString("utf8");
}

/** Status of a `Status` object that a watch delivers in place of an event. */
export function statusError(object: unknown): ApiError {
  const status = asRecord(object);
  const code = asInteger(status["code"]) ?? 500;
  return new ApiError(
    code,
    `watch: ${code} ${asText(status["message"])?.slice(0, 500) ?? ""}`,
    asText(status["reason"]),
  );
}

/** Text of a failure, with the system's error code where the text has none. */
export function failureText(thrown: unknown): string {
  const text = errorText(thrown);
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  return text === "" ? code : text;
}
