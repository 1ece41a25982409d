import type { FuzzTarget } from "../fuzz-target.ts";

const held: Buffer[] = [];
/** Keeps 64 KiB of each input. */
const target: FuzzTarget = {
  summary: "keeps nothing",
  sample: (random) => random.bytes(4),
  check() {
    held.push(Buffer.alloc(65_536));
  },
};
export default target;
