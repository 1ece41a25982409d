import type { Endpoint } from "@pointsman/core";
import type { PromptHashes } from "@pointsman/core/xxh64";
import type { BurstPrefixCacheParams } from "./params.ts";
import { blockCount, blocksKey, compareBlocks, sharedBlocks } from "./shared-blocks.ts";

/** A request of a window: at least one block. */
export interface BurstEntry {
  readonly hashes: PromptHashes;
  /** Endpoints it may go to. */
  readonly endpoints: readonly Endpoint[];
}

/** An endpoint while a window is placed. */
interface Replica {
  readonly endpoint: Endpoint;
  readonly runningRequests: number;
  /** Requests or blocks placed, as the parameters say. */
  load: number;
}

/** Requests with the same blocks and the same candidates. */
interface Unit {
  readonly hashes: PromptHashes;
  readonly blocks: number;
  readonly replicas: readonly Replica[];
  /** Places in the list of entries, in order of arrival. */
  readonly members: number[];
  /** Its requests placed, by endpoint. */
  readonly placedOn: Map<Replica, number>;
  /** Place among all units, ordered by their blocks. */
  order: number;
}

const nothingHeld: ReadonlyMap<Replica, number> = new Map();

type PlacementParams = Pick<BurstPrefixCacheParams, "maxPerReplica" | "minColocateBlocks" | "balanceBy">;

/**
 * Chooses an endpoint for each request that shares its prompt with another one: `result[i]` belongs to `entries[i]`,
 * `undefined` for a request that shares nothing.
 *
 * `runningRequests` is what an endpoint computes, `undefined` when that is unknown. Cost: O(units² + units × endpoints),
 * where a unit is what differs. Source: spec scheduling-plugins F3.
 */
export function placeBurst(
  entries: readonly BurstEntry[],
  params: PlacementParams,
  runningRequests: (endpoint: Endpoint) => number | undefined,
): readonly (Endpoint | undefined)[] {
  const placement = new Array<Endpoint | undefined>(entries.length).fill(undefined);
  const units = groupEntries(entries, runningRequests);
  const neighbours = orderUnits(units);
  const chosen = unitsToPlace(units, neighbours, params.minColocateBlocks);
  const replicaCount = new Set(chosen.flatMap((unit) => unit.replicas)).size;
  const byTokens = params.balanceBy === "tokens";
  const work = chosen.reduce((sum, unit) => sum + (byTokens ? unit.blocks : unit.members.length), 0);
  const fairShare = Math.ceil(work / Math.max(1, replicaCount));
  const needsHeld = byTokens || params.minColocateBlocks > 0;
  const limit = params.maxPerReplica === -1 ? Number.POSITIVE_INFINITY : params.maxPerReplica;

  for (const unit of chosen) {
    const held = needsHeld ? heldBlocks(unit, neighbours) : nothingHeld;
    let next = 0;
    while (next < unit.members.length) {
      const colocated =
        next === 0 && params.minColocateBlocks > 0
          ? longestHolder(unit, held, params.minColocateBlocks, fairShare)
          : undefined;
      const replica = colocated ?? leastLoaded(unit, limit);
      if (replica === undefined) break;
      const placed = unit.placedOn.get(replica) ?? 0;
      // With every endpoint at the limit the rest goes round one by one.
      const end = Math.min(unit.members.length, next + Math.max(1, limit - placed));
      if (!byTokens) replica.load += end - next;
      else if (placed === 0) replica.load += Math.max(0, unit.blocks - (held.get(replica) ?? 0));
      unit.placedOn.set(replica, placed + end - next);
      for (; next < end; next++) placement[unit.members[next]!] = replica.endpoint;
    }
  }
  return placement;
}

function groupEntries(
  entries: readonly BurstEntry[],
  runningRequests: (endpoint: Endpoint) => number | undefined,
): readonly Unit[] {
  const replicas = new Map<Endpoint, Replica>();
  const replicaOf = (endpoint: Endpoint): Replica => {
    let replica = replicas.get(endpoint);
    if (replica === undefined) {
      const running = runningRequests(endpoint);
      // Unknown, or no count: after every number that is known.
      const known = running !== undefined && running >= 0 ? running : Number.POSITIVE_INFINITY;
      replica = { endpoint, runningRequests: known, load: 0 };
      replicas.set(endpoint, replica);
    }
    return replica;
  };
  const candidateLists: { readonly endpoints: readonly Endpoint[]; readonly replicas: readonly Replica[] }[] = [];
  const units = new Map<string, Unit>();
  entries.forEach(({ hashes, endpoints }, index) => {
    let list = candidateLists.findIndex((known) => sameEndpoints(known.endpoints, endpoints));
    if (list === -1) list = candidateLists.push({ endpoints, replicas: endpoints.map(replicaOf) }) - 1;
    const key = `${list}/${blocksKey(hashes)}`;
    let unit = units.get(key);
    if (unit === undefined) {
      const blocks = blockCount(hashes);
      unit = { hashes, blocks, replicas: candidateLists[list]!.replicas, members: [], placedOn: new Map(), order: 0 };
      units.set(key, unit);
    }
    unit.members.push(index);
  });
  return [...units.values()];
}

function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return a === b || (a.length === b.length && a.every((endpoint, i) => endpoint === b[i]));
}

/** All units ordered by their blocks, with what each shares with the one before. */
interface Neighbours {
  readonly units: readonly Unit[];
  readonly sharedWithPrevious: Int32Array;
}

function orderUnits(given: readonly Unit[]): Neighbours {
  const units = given.toSorted((a, b) => compareBlocks(a.hashes, b.hashes));
  const sharedWithPrevious = new Int32Array(units.length + 1);
  units.forEach((unit, i) => {
    unit.order = i;
    if (i > 0) sharedWithPrevious[i] = sharedBlocks(units[i - 1]!.hashes, unit.hashes);
  });
  return { units, sharedWithPrevious };
}

/** Groups first, then single requests that share enough with another one; each from the longest prompt to the shortest. */
function unitsToPlace(
  units: readonly Unit[],
  { sharedWithPrevious }: Neighbours,
  minColocateBlocks: number,
): readonly Unit[] {
  const longestFirst = (a: Unit, b: Unit): number => b.blocks - a.blocks;
  const groups = units.filter((unit) => unit.members.length > 1).toSorted(longestFirst);
  if (minColocateBlocks === 0) return groups;
  const shares = ({ order }: Unit): boolean =>
    sharedWithPrevious[order]! >= minColocateBlocks || sharedWithPrevious[order + 1]! >= minColocateBlocks;
  const singles = units.filter((unit) => unit.members.length === 1 && shares(unit)).toSorted(longestFirst);
  return [...groups, ...singles];
}

/** How many leading blocks of a unit each endpoint holds through the units placed before. */
function heldBlocks(unit: Unit, { units, sharedWithPrevious }: Neighbours): ReadonlyMap<Replica, number> {
  const held = new Map<Replica, number>();
  const note = (other: Unit, shared: number): void => {
    for (const replica of other.placedOn.keys()) {
      if (shared > (held.get(replica) ?? 0)) held.set(replica, shared);
    }
  };
  let shared = Number.POSITIVE_INFINITY;
  for (let i = unit.order; i > 0; i--) {
    shared = Math.min(shared, sharedWithPrevious[i]!);
    if (shared === 0) break;
    note(units[i - 1]!, shared);
  }
  shared = Number.POSITIVE_INFINITY;
  for (let i = unit.order + 1; i < units.length; i++) {
    shared = Math.min(shared, sharedWithPrevious[i]!);
    if (shared === 0) break;
    note(units[i]!, shared);
  }
  return held;
}

function longestHolder(
  unit: Unit,
  held: ReadonlyMap<Replica, number>,
  minColocateBlocks: number,
  fairShare: number,
): Replica | undefined {
  let best: Replica | undefined;
  let most = minColocateBlocks;
  for (const replica of unit.replicas) {
    const blocks = held.get(replica) ?? 0;
    if (blocks < most || replica.load >= fairShare) continue;
    if (best === undefined || blocks > most || comesBefore(replica, best)) best = replica;
    most = blocks;
  }
  return best;
}

/** The least loaded endpoint with fewer than `limit` of the unit's requests; with none such, the least loaded of all. */
function leastLoaded({ replicas, placedOn }: Unit, limit: number): Replica | undefined {
  let best: Replica | undefined;
  let bestHasRoom = false;
  for (const replica of replicas) {
    const hasRoom = (placedOn.get(replica) ?? 0) < limit;
    if (best !== undefined && (hasRoom === bestHasRoom ? !comesBefore(replica, best) : bestHasRoom)) continue;
    best = replica;
    bestHasRoom = hasRoom;
  }
  return best;
}

function comesBefore(a: Replica, b: Replica): boolean {
  if (a.load !== b.load) return a.load < b.load;
  if (a.runningRequests !== b.runningRequests) return a.runningRequests < b.runningRequests;
  return a.endpoint.id < b.endpoint.id;
}
