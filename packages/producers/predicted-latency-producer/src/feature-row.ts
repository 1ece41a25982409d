/** What the predictor is told of one request on one endpoint. Names and meaning are the predictor's. */
export interface FeatureRow {
  /** 0 to 1. */
  readonly kv_cache_percentage: number;
  readonly input_token_length: number;
  readonly num_request_waiting: number;
  readonly num_request_running: number;
  readonly num_tokens_generated: number;
  /** 0 to 1. */
  readonly prefix_cache_score: number;
  readonly encoder_input_size: number;
  /** At most `encoder_input_size`. */
  readonly encoder_matched_size: number;
  readonly pod_type?: string;
  readonly prefill_tokens_in_flight: number;
  readonly decode_tokens_in_flight: number;
}

/** What an endpoint reports, and what is known of a request on it; `undefined` is unknown. */
export interface RowSignals {
  readonly kvCacheUsage: number | undefined;
  readonly waitingRequests: number | undefined;
  readonly runningRequests: number | undefined;
  readonly tokensInFlight: number | undefined;
  readonly promptTokens: number | undefined;
  readonly matchedBlocks: number;
  readonly totalBlocks: number;
  readonly encoderInputSize: number;
  readonly encoderMatchedSize: number;
  readonly podType: string | undefined;
}

const maxPodTypeChars = 63;

/** A row within the predictor's ranges; `undefined` where something it needs is unknown. */
export function featureRow(signals: RowSignals): FeatureRow | undefined {
  const kvCacheUsage = known(signals.kvCacheUsage);
  const waitingRequests = known(signals.waitingRequests);
  const runningRequests = known(signals.runningRequests);
  const promptTokens = known(signals.promptTokens);
  if (
    kvCacheUsage === undefined ||
    waitingRequests === undefined ||
    runningRequests === undefined ||
    promptTokens === undefined
  ) {
    return undefined;
  }
  const encoderInputSize = Math.round(known(signals.encoderInputSize) ?? 0);
  const podType = signals.podType?.slice(0, maxPodTypeChars);
  return {
    kv_cache_percentage: Math.min(1, kvCacheUsage),
    input_token_length: Math.round(promptTokens),
    num_request_waiting: Math.round(waitingRequests),
    num_request_running: Math.round(runningRequests),
    num_tokens_generated: 1,
    prefix_cache_score: share(signals.matchedBlocks, signals.totalBlocks),
    encoder_input_size: encoderInputSize,
    encoder_matched_size: Math.min(encoderInputSize, Math.round(known(signals.encoderMatchedSize) ?? 0)),
    ...(podType === undefined || podType === "" ? {} : { pod_type: podType }),
    prefill_tokens_in_flight: Math.round(known(signals.tokensInFlight) ?? 0),
    decode_tokens_in_flight: 0,
  };
}

function known(value: number | undefined): number | undefined {
  return value !== undefined && value >= 0 && value < Number.POSITIVE_INFINITY ? value : undefined;
}

function share(part: number, whole: number): number {
  return part > 0 && whole > 0 ? Math.min(1, part / whole) : 0;
}
