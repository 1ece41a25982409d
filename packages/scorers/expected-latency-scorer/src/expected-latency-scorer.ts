import { type AnyPluginDefinition, definePlugin, EXPECTED_LATENCY } from "@pointsman/core";
import { z } from "zod";

interface Params {
  readonly producerName: string;
  readonly ttftWeight: number;
  readonly decodeWeight: number;
  readonly harmWeight: number;
  readonly evictWeight: number;
}

const params: z.ZodType<Params> = z.strictObject({
  producerName: z.string().default(""),
  ttftWeight: z.number().min(0).max(1000).default(1),
  decodeWeight: z.number().min(0).max(1000).default(1),
  harmWeight: z.number().min(0).max(1000).default(1),
  evictWeight: z.number().min(0).max(1000).default(0),
});

export const expectedLatencyScorer: AnyPluginDefinition = definePlugin<Params>({
  type: "expected-latency-scorer",
  kind: "scorer",
  stability: "alpha",
  summary: "1 = least expected cost, 0.5 = twice as much, 0 = unknown.",
  params,
  consumes: ({ producerName }) => ({ required: [EXPECTED_LATENCY.from(producerName)] }),
  create({ producerName, ttftWeight, decodeWeight, harmWeight, evictWeight }, host) {
    const read = host.requestReader(EXPECTED_LATENCY.from(producerName));
    return {
      score(request, endpoints, out) {
        const expected = read.get(request);
        if (expected === undefined) {
          out.fill(1);
          return;
        }
        let least = Number.POSITIVE_INFINITY;
        for (let i = 0; i < endpoints.length; i++) {
          const slot = endpoints[i]!.slot;
          const cost =
            ttftWeight * expected.ttftMs[slot]! + decodeWeight * expected.decodeMs[slot]! + harmWeight * expected.harmMs[slot]! + evictWeight * expected.evictMs[slot]!;
          out[i] = cost;
          if (cost < least) least = cost;
        }
        for (let i = 0; i < out.length; i++) out[i] = out[i]! > 0 ? least / out[i]! : 0;
      },
    };
  },
});
