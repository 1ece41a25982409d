import type { GatingMode } from "./params.ts";

/** Ready Pods of one revision, by role. */
export type RoleCounts = ReadonlyMap<string, number>;

/**
 * The share of requests each revision gets, 0 to 1; together 1, or 0 when no revision has all required roles.
 *
 * A revision without a Ready Pod of some required role gets 0. The others share by weight: the sum of their Pods in the
 * required roles, or with `max-role` their Pods in the role that has most over all of these revisions (of equal ones,
 * the first required).
 */
export function revisionShares(
  counts: ReadonlyMap<string, RoleCounts>,
  requiredRoles: readonly string[],
  mode: Exclude<GatingMode, "disabled">,
): ReadonlyMap<string, number> {
  const covered = [...counts].filter(([, byRole]) => requiredRoles.every((role) => (byRole.get(role) ?? 0) > 0));
  const podsIn = (byRole: RoleCounts, roles: readonly string[]): number =>
    roles.reduce((sum, role) => sum + (byRole.get(role) ?? 0), 0);
  let roles = requiredRoles;
  if (mode === "max-role") {
    const totals = requiredRoles.map((role) => covered.reduce((sum, [, byRole]) => sum + podsIn(byRole, [role]), 0));
    roles = requiredRoles.slice(totals.indexOf(Math.max(...totals))).slice(0, 1);
  }
  const total = covered.reduce((sum, [, byRole]) => sum + podsIn(byRole, roles), 0);
  const shares = new Map([...counts.keys()].map((revision) => [revision, 0]));
  for (const [revision, byRole] of covered) shares.set(revision, podsIn(byRole, roles) / total);
  return shares;
}

/**
 * Draws one of the revisions by their shares, which need not add up to 1. `draw` is uniform in [0, 1). `undefined` when
 * none has a share.
 *
 * Revisions lie beside each other in the order of their names, so that equal draws give equal answers.
 */
export function drawRevision(shares: ReadonlyMap<string, number>, draw: number): string | undefined {
  const entries = [...shares].filter(([, share]) => share > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  let left = draw * entries.reduce((sum, [, share]) => sum + share, 0);
  for (const [revision, share] of entries) {
    if (left < share) return revision;
    left -= share;
  }
  // What rounding leaves over belongs to the last one.
  return entries.at(-1)?.[0];
}
