import { type AnyPluginDefinition, definePlugin } from "@pointsman/core";
import { weightedRandomPickerParams } from "./params.ts";

/** Keys of endpoints with a score lie above this, keys of those without below it. */
const scoredFloor = -Number.MAX_VALUE / 4;

/**
 * Draws the sort key of one endpoint: taking endpoints by descending key draws them without replacement, each time with
 * a chance in proportion to the score (A-Res).
 *
 * The key is ln(U)/score with U uniform in (0, 1]: the order of U^(1/score), which runs out of digits for small scores.
 * Endpoints without a positive score come after all others, in random order.
 */
export function drawKey(score: number, random: () => number): number {
  const uniform = 1 - random();
  if (score > 0) return Math.max(Math.log(uniform) / score, scoredFloor);
  return -Number.MAX_VALUE * (1 - uniform / 2);
}

/**
 * Index of one endpoint, drawn with a chance in proportion to its total; each with the same chance where no total is
 * above 0. One random number. O(n), no allocation.
 */
export function drawOne(totals: Float64Array, random: () => number): number {
  let largest = 0;
  for (let i = 0; i < totals.length; i++) {
    if (totals[i]! > largest) largest = totals[i]!;
  }
  if (largest === 0) return Math.floor(random() * totals.length);
  // As shares of the largest one, totals can be added up whatever their size.
  let sum = 0;
  for (let i = 0; i < totals.length; i++) {
    if (totals[i]! > 0) sum += totals[i]! / largest;
  }
  // A point on a line on which each endpoint takes as much room as its total.
  let rest = random() * sum;
  let drawn = 0;
  for (let i = 0; i < totals.length; i++) {
    if (!(totals[i]! > 0)) continue;
    drawn = i;
    rest -= totals[i]! / largest;
    if (rest < 0) break;
  }
  // What rounding leaves over belongs to the last one.
  return drawn;
}

/**
 * Fills `chosen` with the indexes of the largest keys drawn for `totals`, largest first.
 *
 * Shape: `keys.length === totals.length`; `chosen` has at least one place and at most as many as there are totals.
 * O(n log k) comparisons for k places, and one move of at most k numbers for each key that enters. No allocation.
 */
export function drawMany(totals: Float64Array, random: () => number, keys: Float64Array, chosen: Uint32Array): void {
  const places = chosen.length;
  let filled = 0;
  for (let i = 0; i < totals.length; i++) {
    const key = drawKey(totals[i]!, random);
    keys[i] = key;
    if (filled === places && key <= keys[chosen[places - 1]!]!) continue;
    let low = 0;
    let high = filled;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (key > keys[chosen[middle]!]!) high = middle;
      else low = middle + 1;
    }
    if (filled < places) filled++;
    chosen.copyWithin(low + 1, low, filled - 1);
    chosen[low] = i;
  }
}

export const weightedRandomPicker: AnyPluginDefinition = definePlugin({
  type: "weighted-random-picker",
  kind: "picker",
  stability: "beta",
  summary: "Picks at random, with a chance in proportion to the total score.",
  params: weightedRandomPickerParams,
  create({ maxNumOfEndpoints }, host) {
    const random = (): number => host.random();
    let keys = new Float64Array(0);
    let chosen = new Uint32Array(0);
    return {
      pick(_request, endpoints, totals) {
        if (maxNumOfEndpoints === 1) return [endpoints[drawOne(totals, random)]!];
        const count = Math.min(maxNumOfEndpoints, endpoints.length);
        if (keys.length !== endpoints.length) keys = new Float64Array(endpoints.length);
        if (chosen.length !== count) chosen = new Uint32Array(count);
        drawMany(totals, random, keys, chosen);
        return Array.from(chosen, (index) => endpoints[index]!);
      },
    };
  },
});
