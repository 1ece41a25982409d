import { type AnyPluginDefinition, definePlugin, type Headers, SESSION_ID } from "@pointsman/core";
import { type SessionIdParams, sessionIdParams } from "./params.ts";

/** Consumers keep sessions for a while; what is longer is no session. */
const maxSessionIdChars = 4096;

/**
 * Value of the first cookie of this name, without white space around it; `undefined` where there is none.
 *
 * All `cookie` headers are read, in their order. A name ends at the first `=`; quotes belong to the value. Never throws.
 */
export function cookieValue(headers: Headers, cookieName: string): string | undefined {
  for (let i = 0; i < headers.size; i++) {
    if (headers.names[i] !== "cookie") continue;
    for (const pair of headers.values[i]!.split(";")) {
      const equals = pair.indexOf("=");
      if (equals !== -1 && pair.slice(0, equals).trim() === cookieName) return pair.slice(equals + 1).trim();
    }
  }
  return undefined;
}

/** The request's session; `undefined` where it is absent, blank or longer than 4,096 characters. */
export function sessionIdOf(headers: Headers, params: SessionIdParams): string | undefined {
  const value =
    "headerName" in params ? headers.get(params.headerName)?.trim() : cookieValue(headers, params.cookieName);
  return value === undefined || value === "" || value.length > maxSessionIdChars ? undefined : value;
}

export const sessionIdProducer: AnyPluginDefinition = definePlugin<SessionIdParams>({
  type: "session-id-producer",
  kind: "producer",
  stability: "beta",
  summary: "Produces the session a request belongs to, from a header or a cookie.",
  params: sessionIdParams,
  produces: (_params, name) => [SESSION_ID.from(name)],
  create(params, host) {
    const sessions = host.requestWriter(SESSION_ID.from(host.name));
    return {
      produce(request) {
        const sessionId = sessionIdOf(request.headers, params);
        if (sessionId !== undefined) sessions.set(request, sessionId);
      },
    };
  },
});
