import { createHash } from "node:crypto";

/** Data-parallel rank of a request: equal ids give equal ranks on every sidecar. 0 when there is only one. */
export function moriioRank(requestId: string, ranks: number): number {
  if (ranks <= 1) return 0;
  const hash = createHash("blake2s256").update(requestId).digest();
  return Number(hash.readBigUInt64BE(0) % BigInt(ranks));
}
