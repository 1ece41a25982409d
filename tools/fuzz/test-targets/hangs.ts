import type { FuzzTarget } from "../fuzz-target.ts";

/** Never returns from its tenth input. */
let count = 0;
const target: FuzzTarget = {
  summary: "returns",
  sample: () => Buffer.from("abc"),
  check() {
    if (++count === 10) for (;;);
  },
};
export default target;
