import { z } from "zod";

/** What is predicted, and from whose data. */
export interface PredictedLatencyParams {
  readonly sloBufferFactor: number;
  readonly contextTTL: number;
  readonly streamingMode: boolean;
  readonly endpointRoleLabel: string;
  readonly predictInProduce: boolean;
  readonly prefixMatchInfoProducerName: string;
  readonly inFlightLoadProducerName: string;
  readonly useEncoderCacheFeatures: boolean;
  readonly encoderCacheMatchInfoProducerName: string;
  readonly samplingMean: number;
  readonly maxDecodeTokenSamplesForPrediction: number;
}

const fiveMinutesNs = 300_000_000_000;

export const predictedLatencyParams: z.ZodType<PredictedLatencyParams> = z.strictObject({
  sloBufferFactor: z
    .number()
    .gt(0)
    .max(1000)
    .default(1)
    .describe("Factor on the objective for time per output token; below 1 leaves a reserve."),
  contextTTL: z
    .int()
    .default(fiveMinutesNs)
    .describe("Nanoseconds. Accepted and without effect: a request is forgotten when its answer ends."),
  streamingMode: z
    .boolean()
    .default(false)
    .describe("Tell the first token from the rest; otherwise time to first token means the whole answer."),
  endpointRoleLabel: z
    .string()
    .default("")
    .describe("Label whose value is sent as `pod_type`; endpoints where it is `prefill` have no time per token."),
  predictInProduce: z.boolean().default(true).describe("Predict for each request; otherwise only teach the predictor."),
  prefixMatchInfoProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of prefix matches; empty is `approx-prefix-cache-producer`."),
  inFlightLoadProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of in-flight load; empty is `inflight-load-producer`."),
  useEncoderCacheFeatures: z
    .boolean()
    .default(false)
    .describe("Tell the predictor how many multimodal items a request has and an endpoint holds."),
  encoderCacheMatchInfoProducerName: z
    .string()
    .default("")
    .describe("Name of the producer of encoder matches; empty is `mm-embeddings-cache-producer`."),
  samplingMean: z.number().default(1000).describe("Deprecated and without effect."),
  maxDecodeTokenSamplesForPrediction: z.number().default(0).describe("Deprecated and without effect."),
});
