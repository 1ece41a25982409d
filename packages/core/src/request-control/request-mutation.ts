import type { HeaderMutation, Headers } from "../headers.ts";
import { controlHeaders, wireNames } from "../wire-names.ts";

/**
 * What is changed in the headers of a routed request: the destination, the body's new length, a request id where the
 * client gave none, what plugins add, and control headers of the client are taken out.
 *
 * Everything else is left alone, so that repeated headers stay as they are.
 */
export function requestMutation(init: {
  readonly received: Headers | undefined;
  readonly destination: string;
  /** `undefined` for a request without a body. */
  readonly bodyBytes: number | undefined;
  readonly generatedId: string | undefined;
  readonly upstreamHeaders: ReadonlyMap<string, string> | undefined;
}): HeaderMutation {
  const { received, bodyBytes, generatedId, upstreamHeaders } = init;
  const set: [string, string][] = [[wireNames.destination, init.destination]];
  if (bodyBytes !== undefined && bodyBytes > 0) set.push(["Content-Length", String(bodyBytes)]);
  if (generatedId !== undefined) set.push([wireNames.requestId, generatedId]);
  if (upstreamHeaders !== undefined) {
    for (const [name, value] of upstreamHeaders) set.push([name, value]);
  }
  const remove = new Set<string>();
  for (const name of received?.names ?? []) {
    if (controlHeaders.has(name) && !set.some(([key]) => key === name)) remove.add(name);
  }
  return { set, remove: [...remove] };
}
