import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { errorText } from "@pointsman/core";
import { AdminService } from "@pointsman/proto/admin";
import { tokenVariable } from "../flags/admin-flags.ts";
import type { ParsedFlags } from "../flags/parse-flags.ts";

/** A running picker that can be asked. */
export interface AdminConnection {
  readonly client: Client<typeof AdminService>;
  readonly url: string;
  /** What to tell before asking. */
  readonly warnings: readonly string[];
}

const maxTokenBytes = 64 * 1024;

/** Makes the way to the picker that the flags name, or tells every problem of them. Connects to nobody yet. */
export function connectAdmin(
  { values }: ParsedFlags,
  environment: Readonly<Record<string, string | undefined>>,
): AdminConnection | { readonly problems: readonly string[] } {
  const problems: string[] = [];
  const text = (name: string): string => String(values.get(name));
  const file = (name: string): string | undefined => {
    const path = text(name);
    if (path === "") return undefined;
    try {
      return readFileSync(path, "utf8");
    } catch (thrown: unknown) {
      problems.push(`--${name}: cannot read ${path}: ${errorText(thrown)}`);
      return undefined;
    }
  };
  const [ca, cert, key] = [file("ca-file"), file("cert-file"), file("key-file")];
  const fromFile = file("token-file");
  const token = (text("token-file") === "" ? (environment[tokenVariable] ?? "") : (fromFile ?? "")).trim();
  const tokenFrom = text("token-file") === "" ? `variable ${tokenVariable}` : "--token-file";
  if (fromFile !== undefined && token === "") problems.push(`--token-file: ${text("token-file")} is empty`);
  if (token.length > maxTokenBytes || !/^[\x21-\x7e]*$/.test(token))
    problems.push(`${tokenFrom}: holds no bearer token`);
  if ((text("cert-file") === "") !== (text("key-file") === "")) problems.push("--cert-file and --key-file go together");

  const address = text("address") || `127.0.0.1:${text("metrics-port")}`;
  const asksTls = ["ca-file", "server-name", "cert-file"].some((name) => text(name) !== "");
  const url = parseAddress(address, asksTls ? "https" : "http");
  if (url === undefined) problems.push(`--address: ${JSON.stringify(address)} is no host:port and no URL of one`);
  else if (asksTls && url.protocol === "http:") {
    problems.push("--address is plain http; --ca-file, --server-name and --cert-file are for https");
  }
  if (problems.length > 0 || url === undefined) return { problems };

  const warnings: string[] = [];
  if (token !== "" && url.protocol === "http:" && !isLoopback(url.hostname)) {
    warnings.push(`the token goes to ${url.host} in clear text; use https where the port has TLS`);
  }
  const addToken: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const serverName = text("server-name");
  return {
    client: createClient(
      AdminService,
      createConnectTransport({
        baseUrl: url.origin,
        httpVersion: "1.1",
        interceptors: token === "" ? [] : [addToken],
        nodeOptions: {
          ...(ca === undefined ? {} : { ca }),
          ...(cert === undefined ? {} : { cert }),
          ...(key === undefined ? {} : { key }),
          ...(serverName === "" ? {} : { servername: serverName }),
        },
      }),
    ),
    url: url.origin,
    warnings,
  };
}

/** What to tell of a request that failed, and what to do about it. */
export function adminFailure(url: string, thrown: unknown): string {
  const { code, rawMessage } = ConnectError.from(thrown);
  switch (code) {
    case Code.Unauthenticated:
      return `${url} does not accept who asks: give a valid token with --token-file or ${tokenVariable}`;
    case Code.PermissionDenied:
      return (
        `${url} does not allow this: the token's user needs the right to post to the path /pointsman.admin.v1.AdminService/* ` +
        "(a ClusterRole with nonResourceURLs)"
      );
    case Code.NotFound:
      return rawMessage;
    default:
      return (
        tlsFailure(url, rawMessage) ??
        `no answer from ${url}: ${errorText(thrown)}. Is the picker running, and is that its --metrics-port${
          url.startsWith("http:")
            ? ", without --metrics-cert-dir (else ask https://)"
            : ", and does it ask for a --cert-file"
        }?`
      );
  }
}

/** What OpenSSL says is lines of its own names; this is what they mean here. */
function tlsFailure(url: string, text: string): string | undefined {
  if (text.includes("wrong version number")) return `${url} does not speak TLS: ask http:// there`;
  if (text.includes("key values mismatch")) return "--key-file is not the key of --cert-file";
  if (text.includes("alert certificate required")) {
    return `${url} asks for a certificate of an authority in its --metrics-client-ca-file: give --cert-file and --key-file`;
  }
  if (text.includes("error:") || !/certificate/i.test(text)) return undefined;
  const reason = text.split(";", 1)[0];
  return `the certificate of ${url} is not accepted (${reason}): give its authority with --ca-file, or the name in it with --server-name`;
}

function parseAddress(address: string, scheme: string): URL | undefined {
  const text = /^https?:\/\//.test(address) ? address : `${scheme}://${address}`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isPlain = url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  return isPlain && url.hostname !== "" ? url : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || (isIP(hostname) === 4 && hostname.startsWith("127."));
}
