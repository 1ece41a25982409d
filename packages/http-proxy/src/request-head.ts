import type { IncomingMessage } from "node:http";
import { Headers } from "@pointsman/core";
import { isConnectionField, listedByConnection } from "./header-fields.ts";

/** A request without its body, checked. */
export interface RequestHead {
  readonly method: string;
  /** In origin form, query string included. */
  readonly path: string;
  /** The client's `Host`, or that of an absolute target; empty where HTTP/1.0 names none. */
  readonly authority: string;
  /** Pseudo headers first, then the client's without those of the connection, then what the proxy adds. */
  readonly headers: Headers;
  /** The request ends with its headers. */
  readonly bodyless: boolean;
  /** As announced; `undefined` for a chunked body. */
  readonly contentLength: number | undefined;
}

/** Why a request is not taken. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** The connection ends with the answer. */
  readonly endsConnection?: true;
}

export const allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const refusedMethods: ReadonlySet<string> = new Set(["CONNECT", "TRACE"]);

const visible = /^[\x21-\x7e]+$/;
const hostCharacters = /^[A-Za-z0-9._~!$&'()*+,;=:[\]%-]*$/;
const bodyIsAwaited = /^100-continue$/i;
/** What clients offer beside HTTP/1.1 and do not insist on. */
const optionalProtocols = /^(?:h2c|tls\/[0-9.]+)(?:[ \t]*,[ \t]*(?:h2c|tls\/[0-9.]+))*$/i;
const absoluteTarget = /^https?:\/\/([^/?#]+)([^#]*)$/i;

/**
 * Reads a request's head as node:http parsed it, and refuses what a model server could read in another way than the
 * proxy. `maxHeaders` counts header fields.
 */
export function readRequestHead(req: IncomingMessage, maxHeaders: number): RequestHead | Refusal {
  const { rawHeaders, headers: parsed } = req;
  const method = req.method ?? "";
  if (req.httpVersion !== "1.1" && req.httpVersion !== "1.0") {
    return { status: 505, code: "HttpVersionNotSupported", message: `HTTP/${req.httpVersion} is not spoken here` };
  }
  if (refusedMethods.has(method)) return methodRefusal(method);
  if (rawHeaders.length > maxHeaders * 2) {
    return { status: 431, code: "HeadersTooLarge", message: `request has more than ${maxHeaders} header fields` };
  }
  const coding = parsed["transfer-encoding"];
  if (coding !== undefined) {
    if (req.httpVersion === "1.0") return bad("HTTP/1.0 has no transfer codings");
    if (coding.toLowerCase() !== "chunked") {
      return { status: 501, code: "NotImplemented", message: "the only transfer coding known is chunked" };
    }
  }
  const listed = listedByConnection(parsed.connection);
  const upgrade = parsed.upgrade;
  // A client that would also like HTTP/2 or TLS is served HTTP/1.1; other protocols cannot be answered at all.
  if (upgrade !== undefined && listed?.has("upgrade") === true && !optionalProtocols.test(upgrade)) {
    const message = "the connection cannot switch to another protocol";
    // Bytes behind such a request are taken for the other protocol's.
    return { status: 501, code: "NotImplemented", message, endsConnection: true };
  }

  const target = requestTarget(req.url ?? "");
  if (target === undefined) return bad("invalid request target");
  const headers = new Headers();
  headers.append(":method", method);
  headers.append(":path", target.path);
  let host: string | undefined;
  const authorityAt = headers.size;
  headers.append(":authority", "");
  headers.append(":scheme", "http");
  let forwardedFor = "";
  let forwardedProto = false;
  let via = "";
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = rawHeaders[i + 1]!;
    switch (name) {
      case "host":
        if (host !== undefined) return bad("request has more than one Host");
        host = value;
        continue;
      case "x-forwarded-for":
        forwardedFor += `${value}, `;
        continue;
      case "via":
        via += `${value}, `;
        continue;
      case "x-forwarded-proto":
        forwardedProto = true;
        break;
      case "expect":
        // The proxy itself meets the one expectation there is.
        if (req.httpVersion === "1.1" && !bodyIsAwaited.test(value)) {
          return { status: 417, code: "ExpectationFailed", message: "the only expectation met is 100-continue" };
        }
        continue;
      case "trailer":
        // The proxy itself says which trailers there are.
        continue;
      default:
        if (isConnectionField(name, listed)) continue;
    }
    headers.append(name, value);
  }
  if (host === undefined && req.httpVersion === "1.1") return bad("request has no Host");
  const authority = target.authority ?? host ?? "";
  if (!hostCharacters.test(authority) || !hostCharacters.test(host ?? "")) return bad("invalid Host");
  headers.values[authorityAt] = authority;
  headers.append("x-forwarded-for", forwardedFor + clientAddress(req.socket.remoteAddress));
  if (!forwardedProto) headers.append("x-forwarded-proto", "http");
  headers.append("via", `${via}${req.httpVersion} pointsman`);
  const contentLength = parsed["content-length"] === undefined ? undefined : Number(parsed["content-length"]);
  const bodyless = coding === undefined && (contentLength ?? 0) === 0;
  return { method, path: target.path, authority, headers, bodyless, contentLength };
}

export function methodRefusal(method: string): Refusal {
  return {
    status: 405,
    code: "MethodNotAllowed",
    message: `method ${method} is not forwarded`,
    headers: [["allow", allowedMethods]],
  };
}

function bad(message: string): Refusal {
  return { status: 400, code: "BadRequest", message };
}

function requestTarget(url: string): { readonly path: string; readonly authority?: string } | undefined {
  if (!visible.test(url) || url.includes("#")) return undefined;
  if (url.startsWith("/")) return { path: url };
  const absolute = absoluteTarget.exec(url);
  if (absolute === null) return undefined;
  const rest = absolute[2]!;
  return { path: rest.startsWith("/") ? rest : `/${rest}`, authority: absolute[1]! };
}

const mappedIpv4 = "::ffff:";

function clientAddress(address: string | undefined): string {
  if (address === undefined) return "unknown";
  return address.startsWith(mappedIpv4) ? address.slice(mappedIpv4.length) : address;
}
