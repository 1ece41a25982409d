import type { FuzzTarget } from "../fuzz-target.ts";

/** Fails on every input with the byte 7 in it. */
const target: FuzzTarget = {
  summary: "no byte is 7",
  sample: (random) => random.bytes(20),
  check(input) {
    if (input.includes(7)) throw new Error("a byte is 7");
  },
};
export default target;
