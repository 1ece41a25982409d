/** Plugins that allocate for each endpoint on the way of a request: at most how many bytes, and why. */
export const allocationExceptions: ReadonlyMap<string, { readonly bytesPerEndpoint: number; readonly why: string }> =
  new Map(
    (
      [
        ["approx-prefix-cache-producer", 8, "a table by slot, which those who consume it keep with the request"],
        ["multicluster-approx-prefix-cache-producer", 8, "as approx-prefix-cache-producer"],
        ["inflight-load-producer", 12, "a table by slot, which those who consume it keep with the request"],
        ["expected-latency-producer", 90, "seven tables by slot, which those who consume it keep with the request"],
        ["mm-embeddings-cache-producer", 70, "a table by slot, and a set of the candidates to look holders up in"],
        ["p2p-source-producer", 8, "an object for each of the few endpoints that hold most of the prompt"],
        ["by-label", 20, "the list of those that stay, where some go"],
        ["decode-filter", 20, "the list of those that stay, where some go"],
        ["encode-filter", 20, "the list of those that stay, where some go"],
        ["prefill-filter", 20, "the list of those that stay, where some go"],
        ["utilization-filter", 20, "the list of those that stay, where some go"],
        ["prefix-cache-affinity-filter", 20, "the list of those that stay, where some go"],
        ["slo-headroom-tier-filter", 30, "one list for each of two tiers"],
        ["endpoint-attribute-filter", 35, "the list of those that stay, and the configured number on the heap"],
        ["disaggregatedset-rollout-screener", 60, "the list of those that stay, once for each of its rules"],
        ["utilization-detector", 20, "the list of those that stay, where some go"],
      ] as const
    ).map(([type, bytesPerEndpoint, why]) => [type, { bytesPerEndpoint, why }]),
  );

/** Plugins in which a request waits, so that no single call shows what it allocates. */
export const waitingPlugins: readonly string[] = ["burst-prefix-cache-producer", "predicted-latency-producer"];
