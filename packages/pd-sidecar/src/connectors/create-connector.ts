import type { Logger } from "@pointsman/core";
import type { MoriioOptions, SidecarOptions } from "../config/sidecar-options.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { SidecarMetrics } from "../sidecar-metrics.ts";
import type { Stages } from "../stages.ts";
import type { UpstreamPool } from "../upstream/upstream-pool.ts";
import type { KvConnector } from "./connector.ts";
import type { P2pPorts } from "./kv-source.ts";
import { MooncakeConnector } from "./mooncake.ts";
import { MooncakeEngines } from "./mooncake-engines.ts";
import { MoriioHosts } from "./moriio-hosts.ts";
import { MoriioParallelConnector } from "./moriio-parallel.ts";
import type { MoriioSettings } from "./moriio-params.ts";
import { NixlV2Connector } from "./nixlv2.ts";
import { OffloadingConnector } from "./offloading.ts";
import { SglangConnector } from "./sglang.ts";
import { SharedStorageConnector } from "./shared-storage.ts";

/** What a connector of one rank is made of. */
export interface ConnectorParts {
  readonly options: SidecarOptions;
  readonly stages: Stages;
  readonly decodeLeg: DecodeLeg;
  readonly p2p: P2pPorts;
  /** Unencrypted connections, for bootstrap servers. */
  readonly plainPool: UpstreamPool;
  readonly moriio: MoriioSettings | undefined;
}

/** Makes the connector that the options name. */
export function createConnector({ options, stages, decodeLeg, p2p, plainPool, moriio }: ConnectorParts): KvConnector {
  const failurePolicy = options.prefillFailurePolicy;
  switch (options.kvConnector) {
    case "nixlv2": {
      const pulls = options.enableP2pPull ? p2p : undefined;
      if (moriio !== undefined && options.moriio.parallelDispatch) {
        const waitTimeoutMs = options.moriio.parallelWaitTimeoutMs;
        return new MoriioParallelConnector(stages, decodeLeg, {
          settings: moriio,
          p2p: pulls,
          waitTimeoutMs,
          failurePolicy,
        });
      }
      return new NixlV2Connector(stages, decodeLeg, {
        ranks: options.moriio.dpSize,
        write: moriio,
        p2p: pulls,
        maxRetries: options.prefillMaxRetries,
        retryBackoffMs: options.prefillRetryBackoffMs,
        failurePolicy,
      });
    }
    case "shared-storage":
      return new SharedStorageConnector(stages, decodeLeg, { failurePolicy });
    case "sglang":
      return new SglangConnector(stages, decodeLeg, { bootstrapPort: options.sglangBootstrapPort, failurePolicy });
    case "mooncake": {
      const engines = new MooncakeEngines(stages, plainPool, options.mooncakeBootstrapPort);
      return new MooncakeConnector(stages, decodeLeg, engines, { failurePolicy });
    }
    case "offloading":
      return new OffloadingConnector(stages, decodeLeg, { p2p, failurePolicy });
  }
}

/** Looks the hosts of MoRI-IO up. Missing values: undefined unless its write mode is on. */
export async function moriioSettings(
  options: MoriioOptions,
  metrics: SidecarMetrics,
  logger: Logger,
): Promise<MoriioSettings | undefined> {
  if (!options.writeMode || options.localPodIp === undefined) return undefined;
  const resolved = async (flag: string, names: readonly string[]): Promise<MoriioHosts | undefined> => {
    if (names.length === 0) return undefined;
    const { resolveTtlMs: ttlMs, resolveTimeoutMs: timeoutMs } = options;
    return await MoriioHosts.resolve({ flag, names, ttlMs, timeoutMs, metrics, logger });
  };
  return {
    localPodIp: options.localPodIp,
    decodeNotifyPort: options.decodeNotifyPort,
    decodeHandshakePort: options.decodeHandshakePort,
    prefillNotifyPort: options.prefillNotifyPort,
    prefillHandshakePort: options.prefillHandshakePort,
    tpSize: options.tpSize,
    dpSize: options.dpSize,
    dpSizeLocal: options.dpSizeLocal,
    prefillHosts: await resolved("moriio-remote-hosts", options.remoteHosts),
    decodeHosts: await resolved("moriio-decode-hosts", options.decodeHosts),
  };
}
