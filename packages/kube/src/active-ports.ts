/** Ports in an annotation that are looked at. */
const maxItems = 64;

/**
 * Which target ports serve, as the annotation says: a list of numbers, of which those that are target ports count.
 * Without the annotation all do. Returns indexes into `targetPorts`, ascending.
 */
export function activePorts(annotation: string | undefined, targetPorts: readonly number[]): readonly number[] {
  const all = targetPorts.map((_, index) => index);
  if (annotation === undefined) return all;
  const named = new Set<number>();
  for (const item of annotation.split(",", maxItems)) {
    // What follows the digits does not matter, as upstream.
    const digits = /^\s*\+?(\d{1,10})/.exec(item)?.[1];
    if (digits !== undefined) named.add(Number(digits));
  }
  return all.filter((index) => targetPorts[index]! > 0 && named.has(targetPorts[index]!));
}
