/** Mixes a 32-bit number so that near inputs give far outputs (the finalizer of MurmurHash3). */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A 32-bit hash of a text's UTF-16 code units. */
export function hashText(text: string, seed: number): number {
  let h = mix32(seed ^ text.length);
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix32(h);
}

/** Returns a function that gives the next number in 0..1 (1 excluded) of the sequence named by `seed` and `label`. */
export function randomStream(seed: number, label: string): () => number {
  const start = hashText(label, seed);
  let drawn = 0;
  return () => {
    drawn = (drawn + 1) | 0;
    return mix32(start + Math.imul(drawn, 0x9e3779b9)) / 0x1_0000_0000;
  };
}
