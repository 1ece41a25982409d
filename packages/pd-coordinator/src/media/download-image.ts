import { type IncomingMessage, request } from "node:http";
import { errorText } from "@pointsman/core";
import type { Cancellation } from "@pointsman/pd-sidecar/shared";
import { guardedConnect } from "./guarded-connect.ts";
import type { MediaNetwork } from "./media-network.ts";

export interface DownloadOptions {
  readonly network: MediaNetwork;
  /** In lower case; `undefined`: any host. */
  readonly allowedHosts: ReadonlySet<string> | undefined;
  readonly allowPrivate: boolean;
  readonly maxBytes: number;
  /** With redirects; `undefined` for as long as it takes. */
  readonly timeoutMs: number | undefined;
}

/** Why an image is not there. What the client asked for is to blame for `refused`, its server for `failed`. */
export interface NoImage {
  readonly kind: "refused" | "failed";
  /** Label of a metric. */
  readonly reason:
    | "url"
    | "host"
    | "address"
    | "redirects"
    | "too-large"
    | "timeout"
    | "status"
    | "connection"
    | "encoding";
  /** Without an address. */
  readonly problem: string;
}

export interface Image {
  readonly kind: "image";
  /** `type/subtype`. */
  readonly mediaType: string;
  readonly bytes: Buffer;
}

const maxRedirects = 5;
const maxUrlCharacters = 8192;
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const typeShape = /^\s*([a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127})\s*(?:;|$)/i;

/** Fetches an image. Follows redirects, each to an allowed host and address. Never rejects. */
export async function downloadImage(
  url: string,
  options: DownloadOptions,
  cancellation: Cancellation,
): Promise<Image | NoImage> {
  const attempt = cancellation.child();
  let timedOut = false;
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          attempt.cancellation.cancel();
        }, options.timeoutMs);
  const result = await followed(url, options, attempt.cancellation);
  clearTimeout(timer);
  attempt.release();
  if (timedOut && result.kind !== "image") {
    return { kind: "failed", reason: "timeout", problem: `no image in ${options.timeoutMs} ms` };
  }
  return result;
}

async function followed(first: string, options: DownloadOptions, cancellation: Cancellation): Promise<Image | NoImage> {
  let next = first;
  let base: URL | undefined;
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const url = imageUrl(next, base);
    if (url === undefined) return { kind: "refused", reason: "url", problem: "the URL is not one of http or https" };
    if (options.allowedHosts?.has(bareHost(url).toLowerCase()) === false) {
      return { kind: "refused", reason: "host", problem: "the host is not an allowed one" };
    }
    const outcome = await fetched(url, options, cancellation);
    if (outcome.kind !== "redirect") return outcome;
    next = outcome.location;
    base = url;
  }
  return { kind: "refused", reason: "redirects", problem: `more than ${maxRedirects} redirects` };
}

/** Missing values: undefined for what is no http or https URL. */
function imageUrl(text: string, base: URL | undefined): URL | undefined {
  if (text.length > maxUrlCharacters || !URL.canParse(text, base?.href)) return undefined;
  const url = new URL(text, base?.href);
  return (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "" ? url : undefined;
}

function bareHost(url: URL): string {
  return url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
}

type Fetched = Image | NoImage | { readonly kind: "redirect"; readonly location: string };

async function fetched(url: URL, options: DownloadOptions, cancellation: Cancellation): Promise<Fetched> {
  const encrypted = url.protocol === "https:";
  const port = url.port === "" ? (encrypted ? 443 : 80) : Number(url.port);
  const target = { host: bareHost(url), port, encrypted, allowPrivate: options.allowPrivate };
  const connection = await guardedConnect(target, options.network, cancellation);
  if (connection.kind === "blocked") {
    return { kind: "refused", reason: "address", problem: "the host has an address that must not be reached" };
  }
  if (connection.kind === "failed") return { kind: "failed", reason: "connection", problem: connection.problem };
  const { socket } = connection;
  return await new Promise<Fetched>((resolve) => {
    const release = cancellation.onCancel(() => done(failed("nobody waits for the image")));
    const done = (outcome: Fetched): void => {
      release();
      socket.destroy();
      resolve(outcome);
    };
    const asked = request({
      method: "GET",
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, accept: "image/*", "accept-encoding": "identity", connection: "close" },
      createConnection: () => socket,
    });
    asked.on("error", (error) => done(failed(errorText(error))));
    asked.on("response", (response) => read(response, options.maxBytes, done));
    asked.end();
  });
}

function read(response: IncomingMessage, maxBytes: number, done: (outcome: Fetched) => void): void {
  const { statusCode = 0, headers } = response;
  response.on("error", (error) => done(failed(errorText(error))));
  if (redirectStatuses.has(statusCode) && headers.location !== undefined) {
    done({ kind: "redirect", location: headers.location });
    return;
  }
  if (statusCode !== 200) {
    done({ kind: "failed", reason: "status", problem: `status ${statusCode}` });
    return;
  }
  const coding = headers["content-encoding"];
  if (coding !== undefined && coding !== "identity") {
    done({ kind: "failed", reason: "encoding", problem: "the image is encoded, which was not asked for" });
    return;
  }
  const tooLarge: NoImage = { kind: "refused", reason: "too-large", problem: `the image exceeds ${maxBytes} bytes` };
  if (Number(headers["content-length"] ?? 0) > maxBytes) {
    done(tooLarge);
    return;
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  response.on("data", (part: Buffer) => {
    bytes += part.length;
    if (bytes > maxBytes) done(tooLarge);
    else parts.push(part);
  });
  response.on("end", () => {
    const mediaType = typeShape.exec(headers["content-type"] ?? "")?.[1] ?? "application/octet-stream";
    done({ kind: "image", mediaType, bytes: Buffer.concat(parts) });
  });
  response.on("close", () => done(failed("the connection ended before the image was complete")));
}

function failed(problem: string): NoImage {
  return { kind: "failed", reason: "connection", problem };
}
