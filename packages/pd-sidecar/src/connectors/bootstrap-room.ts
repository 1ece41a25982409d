import { randomInt } from "node:crypto";

/** A room where the two servers of SGLang meet: nanoseconds since 1970 and a random part, an int64 as its digits. */
export function newBootstrapRoom(): string {
  const nanoseconds = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
  return String(nanoseconds + BigInt(randomInt(1000)));
}
