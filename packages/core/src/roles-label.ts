import type { Endpoint } from "./endpoint.ts";

/** Label that says which part of a request an endpoint serves. Absent: it serves all of it. */
export const ROLE_LABEL = "llm-d.ai/role";

/** Values of {@link ROLE_LABEL}: the parts an endpoint serves, joined by `-`. `both` is an older spelling of `prefill-decode`. */
export type EndpointRole =
  | "encode"
  | "prefill"
  | "decode"
  | "encode-prefill"
  | "prefill-decode"
  | "both"
  | "encode-prefill-decode";

/** The role label as it stands, `undefined` where there is none. It may be empty or name no {@link EndpointRole}. */
export function endpointRole(endpoint: Endpoint): string | undefined {
  const { labels } = endpoint.metadata;
  return Object.hasOwn(labels, ROLE_LABEL) ? labels[ROLE_LABEL] : undefined;
}

/**
 * Keeps the endpoints whose role is one of `accepted`; those without a role label only with `keepUnlabelled`.
 *
 * Shape: in the order given; the same array when all stay. An empty or unknown role is dropped. Never throws. O(n),
 * one array when something is dropped.
 */
export function keepRoles(
  endpoints: readonly Endpoint[],
  accepted: ReadonlySet<string>,
  keepUnlabelled: boolean,
): readonly Endpoint[] {
  let kept: Endpoint[] | undefined;
  for (let i = 0; i < endpoints.length; i++) {
    const endpoint = endpoints[i]!;
    const role = endpointRole(endpoint);
    const keep = role === undefined ? keepUnlabelled : accepted.has(role);
    if (!keep) kept ??= endpoints.slice(0, i);
    else kept?.push(endpoint);
  }
  return kept ?? endpoints;
}
