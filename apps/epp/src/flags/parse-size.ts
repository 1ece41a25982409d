const unitBytes: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** Largest message size that gRPC can carry. */
const maxBytes = 2 ** 31 - 1;

/** Parses a Kubernetes quantity of bytes with an optional final `B` (`10MiB`, `64M`, `1000`); `undefined` when it is none. */
export function parseSize(text: string): number | undefined {
  const parts = /^\+?(\d+(?:\.\d+)?)(Ki|Mi|Gi|k|M|G|)[Bb]?$/.exec(text);
  if (parts === null) return undefined;
  const bytes = Math.ceil(Number(parts[1]) * unitBytes[parts[2]!]!);
  return bytes > 0 && bytes <= maxBytes ? bytes : undefined;
}
