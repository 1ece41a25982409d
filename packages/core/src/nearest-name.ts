/** Longer names are not compared: the cost grows with the product of the lengths. */
const maxComparedCharacters = 80;

/**
 * Finds the candidate most like `name`: fewest insertions, deletions, replacements and swaps of neighbours, upper and
 * lower case alike. Ties go to the earlier candidate; `undefined` when none is close.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  if (name === "" || name.length > maxComparedCharacters) return undefined;
  const wanted = name.toLowerCase();
  let nearest: string | undefined;
  let nearestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (candidate.length > maxComparedCharacters) continue;
    const limit = Math.floor(Math.max(name.length, candidate.length) / 3);
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance <= limit && distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest;
}

/** Edits between two texts, where swapped neighbours count as one edit. */
export function editDistance(a: string, b: string): number {
  let beforePrevious = new Uint16Array(b.length + 1);
  let previous = Uint16Array.from({ length: b.length + 1 }, (_, j) => j);
  let row = new Uint16Array(b.length + 1);
  for (let i = 1; i <= a.length; i++) {
    row[0] = i;
    const unit = a.charCodeAt(i - 1);
    for (let j = 1; j <= b.length; j++) {
      const same = unit === b.charCodeAt(j - 1);
      let best = Math.min(row[j - 1]! + 1, previous[j]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && unit === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1)) {
        best = Math.min(best, beforePrevious[j - 2]! + 1);
      }
      row[j] = best;
    }
    [beforePrevious, previous, row] = [previous, row, beforePrevious];
  }
  return previous[b.length]!;
}
