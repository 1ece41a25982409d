import { EppError } from "@pointsman/core";

/** Bounds of the proxy. A time-out of `Number.POSITIVE_INFINITY` never strikes. */
export interface HttpProxyLimits {
  /** Size of a request's head, of an answer's head, and of a trailer section, bytes. */
  readonly maxHeaderBytes: number;
  /** Header fields of a request. */
  readonly maxHeaders: number;
  /** Time from a connection's first byte of a request to the end of its headers. */
  readonly headerTimeoutMs: number;
  /** Time to receive a whole request, body included. */
  readonly requestTimeoutMs: number;
  /** How long a client's connection may be idle between requests. */
  readonly keepAliveTimeoutMs: number;
  /** Connections of clients at a time; `undefined` for no limit. Further ones are closed at once. */
  readonly maxConnections: number | undefined;
  /** Time to connect to a model server. */
  readonly connectTimeoutMs: number;
  /** Time from a request on its way to the first part of its answer: prefill and the server's queue are in it. */
  readonly responseHeaderTimeoutMs: number;
  /** How long a connection to a model server may be idle, unless the server says by `Keep-Alive: timeout=`. */
  readonly upstreamIdleTimeoutMs: number;
  readonly maxIdleUpstreamsPerEndpoint: number;
  /** Bytes of an answer that wait for a slow client before the model server's connection is no longer read. */
  readonly clientBufferBytes: number;
  /** Time for a client to take what waits for it; after that it is disconnected. */
  readonly clientStallTimeoutMs: number;
}

export const defaultLimits: HttpProxyLimits = {
  maxHeaderBytes: 65_536,
  maxHeaders: 256,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 300_000,
  keepAliveTimeoutMs: 65_000,
  maxConnections: undefined,
  connectTimeoutMs: 5_000,
  responseHeaderTimeoutMs: 600_000,
  upstreamIdleTimeoutMs: 4_000,
  maxIdleUpstreamsPerEndpoint: 256,
  clientBufferBytes: 262_144,
  clientStallTimeoutMs: 300_000,
};

/** Fills in defaults. Throws `EPP_HTTP_PROXY_LIMIT` for a value outside its range. */
export function resolveLimits(given: Partial<HttpProxyLimits> = {}): HttpProxyLimits {
  const limits = { ...defaultLimits };
  for (const name of Object.keys(given) as (keyof HttpProxyLimits)[]) {
    const value = given[name];
    if (!(name in defaultLimits))
      throw limitError(name, `is not a limit; known: ${Object.keys(defaultLimits).join(", ")}`);
    if (value === undefined) continue;
    const isTimeout = name.endsWith("Ms");
    const valid = (isTimeout && value === Number.POSITIVE_INFINITY) || (Number.isSafeInteger(value) && value > 0);
    if (!valid) throw limitError(name, `is ${value}; it must be an integer above 0${isTimeout ? " or infinity" : ""}`);
    Object.assign(limits, { [name]: value });
  }
  if (limits.headerTimeoutMs > limits.requestTimeoutMs) {
    throw limitError(
      "headerTimeoutMs",
      `is ${limits.headerTimeoutMs}, above requestTimeoutMs (${limits.requestTimeoutMs})`,
    );
  }
  return limits;
}

function limitError(name: string, problem: string): EppError {
  return new EppError("EPP_HTTP_PROXY_LIMIT", `HTTP proxy limit "${name}" ${problem}`);
}
