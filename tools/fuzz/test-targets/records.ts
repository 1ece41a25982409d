import type { FuzzTarget } from "../fuzz-target.ts";

let hash = 0;
/** Fails on its 500th input with a text that depends on all inputs before. */
let count = 0;
const target: FuzzTarget = {
  summary: "nothing",
  sample: (random) => random.bytes(random.below(30)),
  check(input) {
    for (const byte of input) hash = (Math.imul(hash, 31) + byte) >>> 0;
    hash = (hash + input.length) >>> 0;
    if (++count === 500) throw new Error(`hash ${hash}`);
  },
};
export default target;
