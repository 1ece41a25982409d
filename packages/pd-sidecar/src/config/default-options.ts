import { makeTarget } from "../upstream/target.ts";
import { upstreamDefaults } from "../upstream/upstream-limits.ts";
import type { SidecarOptions } from "./sidecar-options.ts";

/** Largest body that is read as a whole: what a JSON text may have. */
export const defaultMaxBodyBytes: number = 256 * 1024 * 1024;

/** The sidecar without flags, but unencrypted. Source: spec disaggregation, section 2. */
export const defaultOptions: SidecarOptions = {
  host: undefined,
  ranks: [{ port: 8000, decoder: makeTarget("localhost", 8200) }],
  podIp: undefined,
  kvConnector: "nixlv2",
  ecConnector: undefined,
  mooncakeBootstrapPort: 8998,
  sglangBootstrapPort: 8998,
  p2pConnectorPort: 7777,
  enableP2pPull: false,
  secureProxy: false,
  certPath: undefined,
  tls: { prefill: undefined, decode: undefined, encode: undefined },
  targets: { pool: undefined, poolRequired: false, hosts: undefined, file: undefined },
  prefillerSampling: false,
  maxIdleConnsPerHost: upstreamDefaults.maxIdlePerTarget,
  prefillMaxRetries: 0,
  prefillRetryBackoffMs: 200,
  prefillFailurePolicy: "return",
  prefillTimeoutMs: undefined,
  encodeTimeoutMs: undefined,
  encodeMaxParallel: 8,
  decodeChunkTokens: 0,
  maxBodyBytes: defaultMaxBodyBytes,
  metrics: undefined,
  shutdownTimeoutMs: 60_000,
  accessLog: false,
  tracing: false,
  moriio: {
    writeMode: false,
    parallelDispatch: false,
    parallelWaitTimeoutMs: 30_000,
    localPodIp: undefined,
    decodeNotifyPort: 61_005,
    prefillNotifyPort: 61_005,
    decodeHandshakePort: 6301,
    prefillHandshakePort: 6301,
    tpSize: 1,
    dpSize: 1,
    dpSizeLocal: 0,
    remoteHosts: [],
    decodeHosts: [],
    resolveTtlMs: 30_000,
    resolveTimeoutMs: 5_000,
  },
};
