import { checkJsonInput, randomJsonInput } from "../../../packages/core/src/json/json-scan.fuzz.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

const target: FuzzTarget = {
  summary: "JSON texts: verdict and value of JSON.parse, whatever surrounds the text; no reader throws",
  sample: (random) => randomJsonInput((below) => random.below(below)),
  check(input) {
    // The reference needs these characters for itself.
    if (/[\uf700-\uf75c]/.test(Buffer.from(input).toString())) return;
    const random = FuzzRandom.of(input);
    checkJsonInput(Buffer.from(input), (below) => random.below(below));
  },
};
export default target;
