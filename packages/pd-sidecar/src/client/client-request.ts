import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isConnectionField, listedByConnection } from "@pointsman/http-proxy/http1";
import { requestIdHeader, strippedHeaders } from "./control-headers.ts";

/** How a request with some other headers is written. */
export interface HeadOptions {
  /** Names in lower case and values that replace the client's. */
  readonly set?: ReadonlyMap<string, string>;
  /** Names in lower case that are left out. */
  readonly remove?: ReadonlySet<string>;
  /** Size of the body in bytes, `chunked`, or `none`. */
  readonly framing: number | "chunked" | "none";
}

/** A client's request line and headers, as they go on to model servers. */
export class ClientRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Without the query. */
  readonly path: string;
  /** Names in lower case and values in turn, without connection fields and framing. */
  readonly #fields: string[] = [];
  readonly #all: IncomingMessage;
  /** The id of a request that came without one. */
  #madeId: string | undefined;

  constructor(req: IncomingMessage) {
    this.#all = req;
    this.method = req.method ?? "GET";
    this.url = originForm(req.url ?? "/");
    const query = this.url.indexOf("?");
    this.path = query === -1 ? this.url : this.url.slice(0, query);
    const raw = req.rawHeaders;
    const listed = listedByConnection(req.headers.connection);
    const { cookie } = req.headers;
    // HTTP/2 may split what HTTP/1.1 has in one field.
    const joinsCookies = cookie !== undefined && req.httpVersionMajor !== 1;
    let hasHost = false;
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!.toLowerCase();
      if (name.charCodeAt(0) === 58 || name === "content-length" || name === "expect") continue;
      if (name === "cookie" && joinsCookies) continue;
      if (name === "x-forwarded-for" || strippedHeaders.has(name) || isConnectionField(name, listed)) continue;
      if (name === "host") hasHost = true;
      this.#fields.push(name, raw[i + 1]!);
    }
    const authority = req.headers[":authority"];
    if (!hasHost && typeof authority === "string") this.#fields.push("host", authority);
    if (joinsCookies) this.#fields.push("cookie", cookie);
    this.#addForwardedFor(req);
  }

  /** Every value of a header, in the order they came. */
  values(name: string): string[] {
    if (this.#all.headers[name] === undefined) return [];
    const raw = this.#all.rawHeaders;
    const values: string[] = [];
    for (let i = 0; i < raw.length; i += 2) if (raw[i]!.toLowerCase() === name) values.push(raw[i + 1]!);
    return values;
  }

  /** The client's id of the request, or the one it got here. Missing values: undefined. */
  get requestId(): string | undefined {
    const [first] = this.values(requestIdHeader);
    return first === "" ? this.#madeId : (first ?? this.#madeId);
  }

  /** The id of the request. One without an id gets a new one, which every head names from here on. */
  identify(): string {
    const { requestId } = this;
    if (requestId !== undefined) return requestId;
    this.#madeId = randomUUID();
    return this.#madeId;
  }

  /** The head as a server gets it, `hostPort` in `Host` where the client sent none. */
  head(hostPort: string, options: HeadOptions): string {
    const { set, remove, framing } = options;
    const fields = this.#fields;
    let head = "";
    let hasHost = false;
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!;
      if (set?.has(name) === true || remove?.has(name) === true) continue;
      if (name === requestIdHeader && this.#madeId !== undefined) continue;
      // Only a body in chunks has something behind it.
      if (name === "trailer" && framing !== "chunked") continue;
      if (name === "host") {
        if (hasHost) continue;
        hasHost = true;
      }
      head += `${name}: ${fields[i + 1]}\r\n`;
    }
    if (set !== undefined) for (const [name, value] of set) head += `${name}: ${value}\r\n`;
    if (this.#madeId !== undefined) head += `${requestIdHeader}: ${this.#madeId}\r\n`;
    if (!hasHost) head += `host: ${hostPort}\r\n`;
    return `${this.method} ${this.url} HTTP/1.1\r\n${head}${framingField(framing)}\r\n`;
  }

  /** Values of the headers that are in `names`, as fields of another request. */
  pick(names: readonly string[]): string {
    const fields = this.#fields;
    let head = "";
    for (let i = 0; i < fields.length; i += 2) {
      if (names.includes(fields[i]!)) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
    }
    return head;
  }

  #addForwardedFor(req: IncomingMessage): void {
    // Of a port that takes both families, IPv4 addresses come in the form of the other.
    const address = req.socket.remoteAddress?.replace(/^::ffff:(?=[0-9.]+$)/i, "");
    const before = this.values("x-forwarded-for");
    const all = address === undefined ? before : [...before, address];
    if (all.length > 0) this.#fields.push("x-forwarded-for", all.join(", "));
  }
}

export function framingField(framing: HeadOptions["framing"]): string {
  if (framing === "none") return "";
  return framing === "chunked" ? "transfer-encoding: chunked\r\n" : `content-length: ${framing}\r\n`;
}

/** A client may send `http://host/path`; model servers get the path. */
export function originForm(url: string): string {
  const found = /^https?:\/\/[^/?#]*/i.exec(url);
  if (found === null) return url;
  const rest = url.slice(found[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
