import { readTrace, TraceError } from "../../../packages/replay/src/index.ts";
import { FuzzRandom } from "../fuzz-random.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

const target: FuzzTarget = {
  summary: "traces: a TraceError that names the line, or requests in order of time with whole prompts",
  sample(random) {
    let atMs = 0;
    return Buffer.from(
      random
        .list(12, () => {
          atMs += random.pick([0, 0, 1000, 3000]);
          const tokens = 1 + random.below(3000);
          const hashes = Array.from({ length: Math.ceil(tokens / 512) }, () => random.below(50));
          const extra = random.pick([
            {},
            {},
            { session: "s" },
            { session: 1 },
            { hash_block_tokens: 512 },
            { x: null },
          ]);
          return JSON.stringify({
            timestamp: random.oneIn(12) ? random.pick([-1, 1e300, "1", null]) : atMs,
            input_length: tokens,
            output_length: random.oneIn(12) ? random.pick([0, 1e9, 1.5]) : 1 + random.below(100),
            hash_ids: hashes,
            ...extra,
          });
        })
        .join(random.pick(["\n", "\n\n", "\r\n"])),
    );
  },
  check(input) {
    const random = FuzzRandom.of(input);
    const count = 1 + random.below(20);
    const text = Buffer.from(input).toString();
    let requests: ReturnType<typeof readTrace>;
    try {
      requests = readTrace(text, "trace", count, 1);
    } catch (thrown: unknown) {
      if (!(thrown instanceof TraceError)) throw thrown;
      if (!/^trace(:\d+)?: /.test(thrown.message)) throw new Error(`it does not say where: ${thrown.message}`);
      return;
    }
    if (requests.length === 0 || requests.length > count) throw new Error(`${requests.length} requests of ${count}`);
    let beforeMs = 0;
    for (const { atMs, prompt, output } of requests) {
      if (!(atMs >= beforeMs)) throw new Error(`${atMs} ms comes after ${beforeMs} ms`);
      beforeMs = atMs;
      if (prompt.length === 0 || prompt.some(({ tokens }) => !(tokens >= 1)) || !(output.tokens >= 1)) {
        throw new Error(`a prompt without tokens: ${JSON.stringify(prompt)}`);
      }
    }
  },
};
export default target;
