import type { FuzzTarget } from "../fuzz-target.ts";

/** Throws outside of the check. */
const target: FuzzTarget = {
  summary: "throws nothing",
  sample: (random) => random.bytes(4),
  async check() {
    setImmediate(() => {
      throw new Error("thrown later");
    });
    await new Promise((resolve) => setTimeout(resolve, 1000));
  },
};
export default target;
