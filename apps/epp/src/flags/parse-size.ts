/** Suffixes of Kubernetes quantities; those below 1 make no sense for bytes. */
const unitBytes: ReadonlyMap<string, number> = new Map([
  ...["", "k", "M", "G", "T", "P", "E"].map((unit, power): [string, number] => [unit, 1000 ** power]),
  ...["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].map((unit, power): [string, number] => [unit, 1024 ** (power + 1)]),
]);

/**
 * Parses a Kubernetes quantity of bytes with an optional final `B` (`10MiB`, `64M`, `1e6`, `1000`), rounded up;
 * `undefined` when it is none, is below 0 or exceeds 64 bits.
 */
export function parseSize(text: string): number | undefined {
  const parts = /^\+?(\d+\.?\d*|\.\d+)(?:([kMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?$/.exec(
    text.trim().replace(/[Bb]$/, ""),
  );
  if (parts === null) return undefined;
  const [, number, unit = "", exponent = "0"] = parts;
  const bytes = Math.ceil(Number(`${number}e${exponent}`) * unitBytes.get(unit)!);
  return bytes < 2 ** 63 ? bytes : undefined;
}
