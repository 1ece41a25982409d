import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { maxScorePickerParams } from "./params.ts";

/** Index of the largest total; one of them at random, each equally likely, where several are equal. O(n), no allocation. */
export function indexOfMax(totals: Float64Array, random: () => number): number {
  let best = -1;
  let bestTotal = Number.NEGATIVE_INFINITY;
  let ties = 0;
  for (let i = 0; i < totals.length; i++) {
    const total = totals[i]!;
    if (total > bestTotal) {
      best = i;
      bestTotal = total;
      ties = 1;
    } else if (total === bestTotal) {
      // The k-th of equal ones takes the place with probability 1/k, which leaves each with the same chance.
      ties++;
      if (random() * ties < 1) best = i;
    }
  }
  // Nothing but NaN: none is better than another.
  return best === -1 ? Math.floor(random() * totals.length) : best;
}

/** Puts the numbers from 0 to `order.length - 1` into an order chosen at random. */
export function shuffleOrder(order: Uint32Array, random: () => number): void {
  for (let i = 0; i < order.length; i++) {
    // Each number enters at a random place of those before it, and what stood there moves to the end.
    const place = Math.floor(random() * (i + 1));
    order[i] = order[place]!;
    order[place] = i;
  }
}

/**
 * Fills `chosen` with the indexes of the largest totals, largest first; equal ones in the order in which `order` has them.
 *
 * Shape: `order` holds every index once; `chosen` has at least one place and at most as many as there are totals. NaN
 * counts as lowest. No allocation. O(n log k) comparisons for k places, and one move of at most k numbers for each
 * total that enters: few, since the order does not follow the totals.
 */
export function rankTop(totals: Float64Array, order: Uint32Array, chosen: Uint32Array): void {
  const places = chosen.length;
  let filled = 0;
  for (let i = 0; i < order.length; i++) {
    const index = order[i]!;
    const total = totals[index]!;
    if (filled === places && !ranksBefore(total, totals[chosen[places - 1]!]!)) continue;
    let low = 0;
    let high = filled;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ranksBefore(total, totals[chosen[middle]!]!)) high = middle;
      else low = middle + 1;
    }
    if (filled < places) filled++;
    chosen.copyWithin(low + 1, low, filled - 1);
    chosen[low] = index;
  }
}

function ranksBefore(a: number, b: number): boolean {
  return a > b || (Number.isNaN(b) && !Number.isNaN(a));
}

export const maxScorePicker: AnyPluginDefinition = definePlugin({
  type: "max-score-picker",
  kind: "picker",
  stability: "beta",
  summary: "Picks the highest total score; at random among equals.",
  params: maxScorePickerParams,
  create({ maxNumOfEndpoints }, host) {
    const random = (): number => host.random();
    let order = new Uint32Array(0);
    let chosen = new Uint32Array(0);
    return {
      pick(_request, endpoints, totals) {
        if (maxNumOfEndpoints === 1) return [endpoints[indexOfMax(totals, random)]!];
        const count = Math.min(maxNumOfEndpoints, endpoints.length);
        if (order.length !== endpoints.length) order = new Uint32Array(endpoints.length);
        if (chosen.length !== count) chosen = new Uint32Array(count);
        shuffleOrder(order, random);
        rankTop(totals, order, chosen);
        return Array.from(chosen, (index) => endpoints[index]!);
      },
    };
  },
});
