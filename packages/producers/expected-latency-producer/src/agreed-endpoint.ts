/** Leading tokens of a prompt that say which prefix it has. */
const prefixTokens = 1024;

/** FNV-1a over 32-bit words instead of bytes. */
function hashTokens(tokens: Uint32Array): number {
  let hash = 0x811c_9dc5;
  const end = Math.min(prefixTokens, tokens.length);
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ tokens[i]!, 0x0100_0193);
  return hash;
}

function hashText(text: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return hash;
}

/** Finaliser of MurmurHash3: every bit of the input changes about half of the output's. */
function mixed(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** What {@link agreedEndpoint} knows an endpoint by. */
export function idHash(id: string): number {
  return mixed(hashText(id));
}

/**
 * The endpoint that all pickers of a pool agree on for a prompt's prefix without talking to each other: the one whose id
 * goes best with it (rendezvous hashing). An endpoint that comes or goes moves only the prefixes it gets or had.
 *
 * Returns its index among `idHashes`; -1 when there is none. O(endpoints).
 */
export function agreedEndpoint(tokens: Uint32Array, idHashes: Uint32Array): number {
  const prefix = hashTokens(tokens);
  let best = -1;
  let bestRank = -1;
  for (let i = 0; i < idHashes.length; i++) {
    const rank = mixed(prefix ^ idHashes[i]!);
    if (rank > bestRank) {
      bestRank = rank;
      best = i;
    }
  }
  return best;
}
