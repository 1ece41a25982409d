import { AGENT_IDENTITY, type AnyPluginDefinition, definePlugin, type Headers } from "@pointsman/core";
import { type AgentIdentityParams, agentIdentityParams } from "./params.ts";

/** Headers by which agents tell their session, in the order in which they are tried. */
const usualHeaders = ["x-claude-code-session-id", "x-session-affinity", "session-id", "session_id"];

/** Identities become fairness ids, which are kept and compared; what is longer is none. */
const maxIdentityChars = 1024;

/**
 * Value of the first of `names` that says something, without white space around it; `undefined` where none does. A value
 * of more than 1,024 characters says nothing. Never throws.
 */
export function identityOf(headers: Headers, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers.get(name)?.trim();
    if (value !== undefined && value !== "" && value.length <= maxIdentityChars) return value;
  }
  return undefined;
}

export const agentIdentity: AnyPluginDefinition = definePlugin<AgentIdentityParams>({
  type: "agent-identity",
  kind: "producer",
  stability: "alpha",
  summary: "Produces the agent session a request comes from; it is the fairness id where the client names none.",
  params: agentIdentityParams,
  produces: () => [AGENT_IDENTITY],
  create({ additionalSessionHeaders }, host) {
    const identities = host.requestWriter(AGENT_IDENTITY);
    const names = [...additionalSessionHeaders, ...usualHeaders];
    return {
      requestHeaders(request) {
        const identity = identityOf(request.headers, names);
        if (identity !== undefined) identities.set(request, identity);
        return undefined;
      },
    };
  },
});
