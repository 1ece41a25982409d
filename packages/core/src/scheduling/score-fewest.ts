/**
 * Fills `out[i]`: 1 for the smallest of `counts`, 0 for the largest, linear between.
 *
 * `counts[i]` is NaN where the count is unknown or stale: those get 0, as do counts nothing can have (below 0,
 * infinite). All known counts equal: 1 for each. Nothing known: 1 for all, since there is nothing to tell them apart.
 * Shape: `out.length === counts.length`. O(n), no allocation.
 */
export function scoreFewest(counts: Float64Array, out: Float64Array): void {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < counts.length; i++) {
    const value = counts[i]!;
    if (!isCount(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const range = max - min;
  const nothingKnown = max === Number.NEGATIVE_INFINITY;
  for (let i = 0; i < counts.length; i++) {
    const value = counts[i]!;
    if (nothingKnown) out[i] = 1;
    else if (!isCount(value)) out[i] = 0;
    else out[i] = range === 0 ? 1 : (max - value) / range;
  }
}

function isCount(value: number): boolean {
  return value >= 0 && value < Number.POSITIVE_INFINITY;
}
