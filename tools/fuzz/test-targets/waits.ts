import type { FuzzTarget } from "../fuzz-target.ts";

/** Waits for something that never comes. */
const target: FuzzTarget = {
  summary: "returns",
  sample: () => Buffer.from("abc"),
  check: () => new Promise<void>(() => {}),
};
export default target;
