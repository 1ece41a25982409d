import type { IncomingHttpHeaders } from "node:http";
import { createSecureContext, type SecureContext } from "node:tls";
import { errorText, hostPort, type PollTarget, type PollTls } from "@pointsman/core";
import { Client, type Dispatcher } from "undici";
import { type PageEncoding, pageBody, pageEncoding } from "./page-body.ts";
import { failureOf, PollFailure, printable } from "./poll-failure.ts";

/** What all connections of one source have in common. */
export interface PageClientOptions {
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
  readonly askForGzip: boolean;
  readonly tls: ClientTls | undefined;
}

/** TLS settings in the form that connections use: certificates are parsed once. */
export interface ClientTls {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
}

/** Prepares TLS settings. Throws when a certificate or key cannot be used. */
export function clientTls(tls: PollTls | undefined): ClientTls {
  const { insecureSkipVerify = false, ca, cert, key } = tls ?? {};
  return {
    secureContext: createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      minVersion: "TLSv1.2",
    }),
    rejectUnauthorized: !insecureSkipVerify,
  };
}

/** The address of a page as people write it. */
export function targetUrl(target: PollTarget): string {
  return `${target.scheme}://${hostPort(target.host, target.port)}${target.path}`;
}

/**
 * Fetches one page again and again over one kept-alive connection.
 *
 * Follows no redirects, uses no proxy, sends no credentials but a client certificate. At most one fetch at a time.
 */
export class PageClient {
  readonly target: PollTarget;
  readonly #options: PageClientOptions;
  readonly #requestOptions: Dispatcher.DispatchOptions;
  #client: Client | undefined;
  #fetch: PageFetch | undefined;

  constructor(target: PollTarget, options: PageClientOptions) {
    this.target = target;
    this.#options = options;
    this.#requestOptions = {
      method: "GET",
      path: target.path,
      headers: ["user-agent", "pointsman", "accept-encoding", options.askForGzip ? "gzip" : "identity"],
    };
  }

  /** Calls `done` once with the page or what went wrong, unless `abort` comes first. May call it before it returns. */
  fetch(done: (outcome: Uint8Array | PollFailure) => void): void {
    const fetch = new PageFetch(this.#options.maxBodyBytes, (outcome) => {
      this.#fetch = undefined;
      done(outcome);
    });
    this.#fetch = fetch;
    try {
      this.#client ??= this.#connect();
      this.#client.dispatch(this.#requestOptions, fetch);
    } catch (thrown) {
      fetch.finish(new PollFailure("local", printable(errorText(thrown))));
    }
  }

  /** Whether the head of the answer to the fetch at hand has arrived. */
  get answered(): boolean {
    return this.#fetch?.answered ?? false;
  }

  /** Closes the connection; a fetch at hand ends without a call of `done`. The next fetch connects anew. */
  async abort(): Promise<void> {
    this.#fetch?.forget();
    this.#fetch = undefined;
    const client = this.#client;
    this.#client = undefined;
    // The fetch that this error ends has been told to forget it.
    await client?.destroy(new Error("the poll was ended"));
  }

  #connect(): Client {
    const { scheme, host, port } = this.target;
    const { timeoutMs, tls } = this.#options;
    return new Client(`${scheme}://${hostPort(host, port)}`, {
      connect: { timeout: timeoutMs, ...(scheme === "https" ? tls : {}) },
      // The schedule watches over the whole poll with its own timeout.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeoutThreshold: 500,
      pipelining: 1,
    });
  }
}

/** Receives one answer. */
class PageFetch implements Dispatcher.DispatchHandler {
  answered = false;
  readonly #maxBodyBytes: number;
  #done: ((outcome: Uint8Array | PollFailure) => void) | undefined;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #encoding: PageEncoding = "identity";

  constructor(maxBodyBytes: number, done: (outcome: Uint8Array | PollFailure) => void) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#done = done;
  }

  finish(outcome: Uint8Array | PollFailure): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(outcome);
  }

  forget(): void {
    this.#done = undefined;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#done === undefined) controller.abort(new Error("the poll was ended"));
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    this.answered = true;
    if (statusCode < 200 || this.#done === undefined) return;
    if (statusCode !== 200) {
      this.#refuse(controller, statusProblem(statusCode, headers));
      return;
    }
    const encoding = pageEncoding(headers["content-encoding"]);
    if (encoding === undefined) {
      this.#refuse(controller, `content encoding "${printable(String(headers["content-encoding"]))}" is not supported`);
      return;
    }
    this.#encoding = encoding;
    if (Number(headers["content-length"]) > this.#maxBodyBytes) this.#refuse(controller, this.#tooLarge());
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done === undefined) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBodyBytes) this.#refuse(controller, this.#tooLarge());
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#done !== undefined) this.finish(pageBody(this.#chunks, this.#encoding, this.#maxBodyBytes));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#done !== undefined) this.finish(failureOf(error, this.answered));
  }

  #tooLarge(): string {
    return `the page is larger than the limit of ${this.#maxBodyBytes} bytes`;
  }

  #refuse(controller: Dispatcher.DispatchController, reason: string): void {
    this.finish(new PollFailure("bad-answer", reason));
    controller.abort(new Error(reason));
  }
}

function statusProblem(statusCode: number, headers: IncomingHttpHeaders): string {
  const location = headers.location;
  if (statusCode < 300 || statusCode > 399 || location === undefined) return `HTTP status ${statusCode}`;
  return printable(`HTTP status ${statusCode} to ${location}; redirects are not followed`);
}
