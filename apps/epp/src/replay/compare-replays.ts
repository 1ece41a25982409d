import type { ReplayOutcome, ServedRequest } from "@pointsman/replay";

/** Where two configurations differ. */
export interface ReplayComparison {
  readonly first: string;
  readonly second: string;
  /** Share of the requests that both sent to the same server. */
  readonly sameServer: number;
  /** By length of the prompt; `upToTokens` is absent for the longest. */
  readonly byPromptTokens: readonly {
    readonly upToTokens?: number;
    readonly requests: number;
    /** Mean time to first token, milliseconds. */
    readonly firstTtftMs: number;
    readonly secondTtftMs: number;
    readonly firstHitRate: number;
    readonly secondHitRate: number;
  }[];
  /** Requests whose time to first token differs most, largest difference first. */
  readonly largest: readonly {
    /** Index in the workload, from 0. */
    readonly request: number;
    readonly promptTokens: number;
    readonly first: RequestView;
    readonly second: RequestView;
  }[];
}

interface RequestView {
  readonly server: number;
  readonly ttftMs: number;
  readonly cachedTokens: number;
}

interface Pair {
  readonly promptTokens: number;
  readonly request: number;
  readonly a: RequestView;
  readonly b: RequestView;
}

const promptSizes = [1000, 4000, 16_000, 64_000, undefined] as const;
const shownRequests = 10;

/**
 * Compares what became of each request under two configurations. Requests of the warm-up and the cool-down of one of
 * them, and those that one did not serve, are left out.
 */
export function compareReplays(
  first: Pick<ReplayOutcome, "policy" | "served">,
  second: Pick<ReplayOutcome, "policy" | "served">,
): ReplayComparison {
  const other = new Map(second.served.map((each) => [each.request.index, each]));
  const pairs = first.served.flatMap((each): Pair[] => {
    const a = viewOf(each);
    const b = viewOf(other.get(each.request.index));
    const { index, promptTokens } = each.request;
    return a === undefined || b === undefined ? [] : [{ request: index, promptTokens, a, b }];
  });
  const byPromptTokens = promptSizes.flatMap((upToTokens, i) => {
    const from = promptSizes[i - 1] ?? 0;
    const inside = pairs.filter(
      ({ promptTokens }) => promptTokens > from && promptTokens <= (upToTokens ?? Number.POSITIVE_INFINITY),
    );
    if (inside.length === 0) return [];
    const sum = (of: (pair: Pair) => number): number => inside.reduce((total, pair) => total + of(pair), 0);
    const tokens = sum((pair) => pair.promptTokens);
    return [
      {
        ...(upToTokens === undefined ? {} : { upToTokens }),
        requests: inside.length,
        firstTtftMs: sum(({ a }) => a.ttftMs) / inside.length,
        secondTtftMs: sum(({ b }) => b.ttftMs) / inside.length,
        firstHitRate: sum(({ a }) => a.cachedTokens) / tokens,
        secondHitRate: sum(({ b }) => b.cachedTokens) / tokens,
      },
    ];
  });
  const difference = ({ a, b }: Pair): number => Math.abs(a.ttftMs - b.ttftMs);
  return {
    first: first.policy,
    second: second.policy,
    sameServer: pairs.length === 0 ? 0 : pairs.filter(({ a, b }) => a.server === b.server).length / pairs.length,
    byPromptTokens,
    largest: pairs
      .toSorted((x, y) => difference(y) - difference(x))
      .slice(0, shownRequests)
      .filter((pair) => difference(pair) > 0)
      .map(({ request, promptTokens, a, b }) => ({ request, promptTokens, first: a, second: b })),
  };
}

/** What became of a request that counts. */
function viewOf(served: ServedRequest | undefined): RequestView | undefined {
  if (served?.server === undefined || !served.counted || Number.isNaN(served.finishedMs)) return undefined;
  const { server, firstTokenMs, arrivalMs, cachedTokens } = served;
  return { server, ttftMs: firstTokenMs - arrivalMs, cachedTokens };
}
