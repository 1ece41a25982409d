import type { Endpoint } from "../endpoint.ts";
import type { PluginHost, PluginInstance, RequestReader } from "../plugin/plugin.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import type { InferenceRequest } from "../request.ts";
import { endpointIdOf, endpointToken } from "./endpoint-token.ts";
import { SESSION_CHOICE, type SessionAffinityParams } from "./session-affinity-params.ts";
import { SessionBindings } from "./session-bindings.ts";

/** Tells which endpoint a session belongs to, and learns it. */
export interface SessionAffinity {
  /**
   * The one of `endpoints` that the request's session belongs to; `undefined` where the request names no session, the
   * session belongs to none, or that one is not among them. O(n), no allocation per endpoint. Never throws.
   */
  choose(request: InferenceRequest, endpoints: readonly Endpoint[]): Endpoint | undefined;
  /** What the plugin has to take into its instance. */
  readonly hooks: Pick<PluginInstance, "preRequest" | "responseHeaders" | "endpointChanged" | "dispose" | "dumpState">;
}

/** Memory for a session is bounded by this; what is longer is no session. */
const maxSessionIdChars = 1024;
const maxDumpedEndpoints = 100;

/** Makes the strategy that the parameters choose. Its state belongs to this instance alone. */
export function createSessionAffinity(params: SessionAffinityParams, host: PluginHost): SessionAffinity {
  return params.strategy === "session_id" ? rememberedSessions(params, host) : tokenSessions(params, host);
}

function tokenSessions(
  { header, profileName }: Extract<SessionAffinityParams, { strategy: "encoded_endpoint_header" }>,
  host: PluginHost,
): SessionAffinity {
  return {
    choose(request, endpoints) {
      const token = request.headers.get(header);
      if (token === undefined || token === "") return undefined;
      const endpointId = endpointIdOf(token);
      if (endpointId !== undefined) return endpointOfId(endpoints, endpointId);
      host.logger.debug({ header }, "session token is not readable and counts as none");
      return undefined;
    },
    hooks: {
      responseHeaders(_request, result, { servedBy, setHeaders }) {
        const targets = targetsOf(result, profileName);
        // Of several targets, the proxy may have gone on to a later one.
        const served = profileName === "" ? targets.find(({ hostPort }) => hostPort === servedBy) : undefined;
        const target = served ?? targets[0];
        if (target !== undefined) setHeaders.set(header, endpointToken(target.id));
      },
    },
  };
}

function rememberedSessions(
  params: Extract<SessionAffinityParams, { strategy: "session_id" }>,
  host: PluginHost,
): SessionAffinity {
  const { profileName, sweepMs, maxSessions } = params;
  const bindings = new SessionBindings(params);
  const sessionIdOf = sessionReader(params, host);
  const choiceKey = SESSION_CHOICE.from(host.name);
  const readChoice = host.requestReader(choiceKey);
  const writeChoice = host.requestWriter(choiceKey);
  const sizes = host.metrics.gauge({
    name: "llm_d_epp_session_affinity_sessions",
    help: "Sessions whose endpoint is remembered.",
    labelNames: ["plugin_type", "plugin_name"],
  });
  const size = sizes.labels(host.type, host.name);
  host.timers.every(sweepMs, () => {
    bindings.sweep(host.clock.now());
    size.set(bindings.size);
  });

  return {
    choose(request, endpoints) {
      const sessionId = readChoice.get(request)?.sessionId ?? sessionIdOf(request);
      if (sessionId === undefined) return undefined;
      const boundTo = bindings.endpointOf(sessionId, host.clock.now());
      const endpoint = boundTo === undefined ? undefined : endpointOfId(endpoints, boundTo);
      const earlier = readChoice.get(request);
      if (earlier === undefined) writeChoice.set(request, { sessionId, boundTo, present: endpoint !== undefined });
      else if (endpoint !== undefined) earlier.present = true;
      return endpoint;
    },

    hooks: {
      preRequest(request, result) {
        const choice = readChoice.get(request);
        const sessionId = choice?.sessionId ?? sessionIdOf(request);
        const target = targetsOf(result, profileName)[0];
        if (sessionId === undefined || target === undefined) return undefined;
        const nowMs = host.clock.now();
        const boundTo = bindings.endpointOf(sessionId, nowMs);
        // A session moves only when its endpoint was no candidate, not because the picker preferred another one.
        const wasAbsent = choice !== undefined && choice.boundTo === boundTo && !choice.present;
        if (boundTo !== undefined && boundTo !== target.id && !wasAbsent) return undefined;
        // A decision may come after its endpoint has gone.
        if (!bindings.hasEndpoint(target.id) && !host.endpoints().includes(target)) return undefined;
        bindings.bind(sessionId, target.id, nowMs);
        size.set(bindings.size);
        return undefined;
      },

      endpointChanged({ type, endpoint }) {
        if (type !== "delete") return;
        bindings.forgetEndpoint(endpoint.id);
        size.set(bindings.size);
      },

      dumpState: () => ({
        sessions: bindings.size,
        maxSessions,
        endpoints: bindings.perEndpoint(maxDumpedEndpoints),
        maxEndpoints: maxDumpedEndpoints,
      }),

      dispose() {
        sizes.remove(host.type, host.name);
      },
    },
  };
}

/** Reads the id of a request's session: the first source that gives a text that is neither blank nor too long. */
function sessionReader(
  { sources }: Extract<SessionAffinityParams, { strategy: "session_id" }>,
  host: PluginHost,
): (request: InferenceRequest) => string | undefined {
  const readers = sources.map((source): ((request: InferenceRequest) => unknown) => {
    if ("header" in source) return (request) => request.headers.get(source.header);
    const reader: RequestReader<unknown> = host.requestReader(source.attribute);
    return (request) => reader.get(request);
  });
  return (request) => {
    for (const read of readers) {
      const value = read(request);
      if (typeof value !== "string") continue;
      const sessionId = value.trim();
      if (sessionId !== "" && sessionId.length <= maxSessionIdChars) return sessionId;
    }
    return undefined;
  };
}

function targetsOf(result: SchedulingResult, profileName: string): readonly Endpoint[] {
  return result.profiles.get(profileName === "" ? result.primaryProfile : profileName)?.targets ?? [];
}

function endpointOfId(endpoints: readonly Endpoint[], id: string): Endpoint | undefined {
  for (let i = 0; i < endpoints.length; i++) {
    if (endpoints[i]!.id === id) return endpoints[i];
  }
  return undefined;
}
