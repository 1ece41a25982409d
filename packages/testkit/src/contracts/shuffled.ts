import { seededRandom } from "../builders.ts";

/** A copy of `items` in an order that follows from `seed`. */
export function shuffled<T>(items: readonly T[], seed: number): readonly T[] {
  const random = seededRandom(seed);
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const moved = copy[i]!;
    copy[i] = copy[j]!;
    copy[j] = moved;
  }
  return copy;
}
