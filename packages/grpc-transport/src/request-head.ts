import type { HeaderFieldSink } from "./hpack-decoder.ts";

/** Fields that make no sense in HTTP/2. Source: RFC 9113 section 8.2.2. */
const connectionFields: ReadonlySet<string> = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

/** What the transport needs to know of a request's header list. One per connection, used for every block. */
export class RequestHead implements HeaderFieldSink {
  method: string | undefined;
  path: string | undefined;
  #scheme: string | undefined;
  #authority: string | undefined;
  contentType = "";
  encoding = "";
  timeout: string | undefined;
  contentLengthBytes: number | undefined;
  /** Why the list is malformed. */
  problem = "";
  #isTrailers = false;
  #pseudoOver = false;

  start(isTrailers: boolean): void {
    this.method = undefined;
    this.path = undefined;
    this.#scheme = undefined;
    this.#authority = undefined;
    this.contentType = "";
    this.encoding = "";
    this.timeout = undefined;
    this.contentLengthBytes = undefined;
    this.problem = "";
    this.#isTrailers = isTrailers;
    this.#pseudoOver = false;
  }

  field(name: string, value: string, wellFormed: boolean): void {
    if (!wellFormed) {
      this.problem = "field with forbidden bytes";
      return;
    }
    if (name.charCodeAt(0) === 0x3a) {
      this.#pseudo(name, value);
      return;
    }
    this.#pseudoOver = true;
    switch (name) {
      case "content-type":
        this.contentType = value;
        return;
      case "grpc-encoding":
        this.encoding = value;
        return;
      case "grpc-timeout":
        this.timeout = value;
        return;
      case "te":
        if (value !== "trailers") this.problem = "te other than trailers";
        return;
      case "content-length":
        this.#contentLength(value);
        return;
      default:
        if (connectionFields.has(name)) this.problem = `field ${name}`;
    }
  }

  /** Checks the list as a whole; {@link problem} tells the result. */
  finish(): void {
    if (this.problem !== "" || this.#isTrailers) return;
    if (this.method === undefined) this.problem = "no :method";
    else if (this.method === "CONNECT") {
      if (this.path !== undefined || this.#scheme !== undefined) this.problem = "CONNECT with :path or :scheme";
    } else if (this.path === undefined || this.path === "") this.problem = "no :path";
    else if (this.#scheme === undefined) this.problem = "no :scheme";
  }

  #pseudo(name: string, value: string): void {
    let known: string | undefined;
    if (this.#pseudoOver || this.#isTrailers) {
      this.problem = this.#isTrailers ? "pseudo-header field in trailers" : "pseudo-header field after others";
      return;
    }
    switch (name) {
      case ":method":
        known = this.method;
        this.method = value;
        break;
      case ":path":
        known = this.path;
        this.path = value;
        break;
      case ":scheme":
        known = this.#scheme;
        this.#scheme = value;
        break;
      case ":authority":
        known = this.#authority;
        this.#authority = value;
        break;
      default:
        this.problem = "unknown pseudo-header field";
        return;
    }
    if (known !== undefined) this.problem = `second ${name}`;
  }

  #contentLength(value: string): void {
    const bytes = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
    if (bytes === undefined || (this.contentLengthBytes !== undefined && this.contentLengthBytes !== bytes)) {
      this.problem = "content-length that is not one number";
      return;
    }
    this.contentLengthBytes = bytes;
  }
}
