import type { Pod } from "./pod.ts";

/** Why a pod gets no requests. */
export type Ineligible = "terminating" | "finished" | "no address" | "not ready";

/**
 * The one rule of who may get requests: a pod that is ready, has an address, has not finished and is not being deleted.
 * Returns what is against it, `undefined` when nothing is.
 */
export function ineligible(pod: Pod): Ineligible | undefined {
  if (pod.terminating) return "terminating";
  if (pod.phase === "Succeeded" || pod.phase === "Failed") return "finished";
  if (pod.address === undefined) return "no address";
  return pod.ready === "True" ? undefined : "not ready";
}
