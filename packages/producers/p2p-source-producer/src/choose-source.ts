import type { Endpoint, PrefixMatch } from "@pointsman/core";
import { fnv1a32 } from "./fnv1a32.ts";

/** An endpoint that holds the start of a prompt where others can fetch it. */
export interface KvSource {
  readonly endpoint: Endpoint;
  readonly tokens: number;
}

/** Tier from which endpoints serve each other. */
const sharedTier = "cpu";

/** Tokens an endpoint can pass on: those of the tier it serves from, where tiers are known, else all it holds. */
export function sourceTokens(match: PrefixMatch, endpoint: Endpoint): number {
  const { cachedBlocksByTier } = match;
  const blocks =
    cachedBlocksByTier === undefined ? match.cachedBlocks : (cachedBlocksByTier.get(sharedTier) ?? undefined);
  return tokensOf(blocks, match, endpoint);
}

/** Tokens an endpoint holds itself, in whatever tier. */
export function ownTokens(match: PrefixMatch, endpoint: Endpoint): number {
  return tokensOf(match.cachedBlocks, match, endpoint);
}

function tokensOf(blocks: Int32Array | undefined, { blockSizeTokens }: PrefixMatch, { slot }: Endpoint): number {
  return blockSizeTokens > 0 ? Math.max(0, blocks?.[slot] ?? 0) * blockSizeTokens : 0;
}

/**
 * Chooses among the endpoints that hold most of the prompt, up to one block less, by chance weighted with 1 / (1 +
 * waiting requests); the request's id decides, so that it is the same each time.
 *
 * `waitingRequests` is `undefined` where unknown: such an endpoint counts like the one with most waiting. Returns
 * `undefined` when nobody holds any of it. Source: spec scheduling-plugins F7.
 */
export function chooseSource(
  match: PrefixMatch,
  endpoints: readonly Endpoint[],
  requestId: string,
  waitingRequests: (endpoint: Endpoint) => number | undefined,
): KvSource | undefined {
  let most = 0;
  for (const endpoint of endpoints) most = Math.max(most, sourceTokens(match, endpoint));
  if (most === 0) return undefined;
  const sources: (KvSource & { readonly waiting: number | undefined })[] = [];
  let longest = 0;
  for (const endpoint of endpoints) {
    const tokens = sourceTokens(match, endpoint);
    if (tokens === 0 || tokens + match.blockSizeTokens < most) continue;
    const reported = waitingRequests(endpoint);
    const waiting =
      reported !== undefined && reported >= 0 && reported < Number.POSITIVE_INFINITY ? reported : undefined;
    if (waiting !== undefined) longest = Math.max(longest, waiting);
    sources.push({ endpoint, tokens, waiting });
  }
  const weightOf = ({ waiting }: { readonly waiting: number | undefined }): number => 1 / (1 + (waiting ?? longest));
  let rest = (fnv1a32(requestId) / 2 ** 32) * sources.reduce((sum, source) => sum + weightOf(source), 0);
  // Rounding may leave a rest behind the last one.
  let chosen: KvSource | undefined;
  for (const source of sources) {
    chosen = { endpoint: source.endpoint, tokens: source.tokens };
    if (weightOf(source) > rest) break;
    rest -= weightOf(source);
  }
  return chosen;
}
