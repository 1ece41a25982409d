import type { PrefillFailurePolicy } from "../connectors/prefill-policy.ts";
import type { EcConnectorName } from "../encode/encoder-stage.ts";
import type { PoolReference } from "../targets/pool-targets.ts";
import type { Target } from "../upstream/target.ts";
import type { UpstreamTls } from "../upstream/upstream-limits.ts";

/** Connectors by the name of their flag. */
export type KvConnectorName = "nixlv2" | "shared-storage" | "sglang" | "mooncake" | "offloading";

export const kvConnectorNames: readonly KvConnectorName[] = [
  "nixlv2",
  "shared-storage",
  "sglang",
  "mooncake",
  "offloading",
];

export interface MoriioOptions {
  readonly writeMode: boolean;
  readonly parallelDispatch: boolean;
  readonly parallelWaitTimeoutMs: number;
  readonly localPodIp: string | undefined;
  readonly decodeNotifyPort: number;
  readonly prefillNotifyPort: number;
  readonly decodeHandshakePort: number;
  readonly prefillHandshakePort: number;
  readonly tpSize: number;
  readonly dpSize: number;
  readonly dpSizeLocal: number;
  /** Of the prefill side. */
  readonly remoteHosts: readonly string[];
  readonly decodeHosts: readonly string[];
  readonly resolveTtlMs: number;
  readonly resolveTimeoutMs: number;
}

/** One data-parallel rank: where it listens, and its model server. */
export interface RankOptions {
  /** 0 takes a free port. */
  readonly port: number;
  readonly decoder: Target;
}

/** Everything about a sidecar, checked. */
export interface SidecarOptions {
  /** Address to listen on; `undefined` for all. */
  readonly host: string | undefined;
  /** At least one. */
  readonly ranks: readonly RankOptions[];
  readonly podIp: string | undefined;
  readonly kvConnector: KvConnectorName;
  readonly ecConnector: EcConnectorName | undefined;
  readonly mooncakeBootstrapPort: number;
  readonly sglangBootstrapPort: number;
  readonly p2pConnectorPort: number;
  readonly enableP2pPull: boolean;
  readonly secureProxy: boolean;
  /** Folder of the serving certificate; without one it is self-signed. */
  readonly certPath: string | undefined;
  /** Encryption to the servers of each stage. */
  readonly tls: {
    readonly prefill: UpstreamTls | undefined;
    readonly decode: UpstreamTls | undefined;
    readonly encode: UpstreamTls | undefined;
  };
  /** Which hosts may be targets; no restriction when nothing is given. */
  readonly targets: {
    readonly pool: PoolReference | undefined;
    /** The sidecar waits for the pool before it listens; else a pool that was never known restricts nothing. */
    readonly poolRequired: boolean;
    readonly hosts: readonly string[] | undefined;
    readonly file: string | undefined;
  };
  readonly prefillerSampling: boolean;
  readonly maxIdleConnsPerHost: number;
  readonly prefillMaxRetries: number;
  readonly prefillRetryBackoffMs: number;
  readonly prefillFailurePolicy: PrefillFailurePolicy;
  readonly prefillTimeoutMs: number | undefined;
  readonly encodeTimeoutMs: number | undefined;
  readonly encodeMaxParallel: number;
  /** 0: answers are not made in chunks. */
  readonly decodeChunkTokens: number;
  readonly maxBodyBytes: number;
  readonly metrics: { readonly host: string | undefined; readonly port: number } | undefined;
  readonly shutdownTimeoutMs: number;
  readonly accessLog: boolean;
  readonly tracing: boolean;
  readonly moriio: MoriioOptions;
}
