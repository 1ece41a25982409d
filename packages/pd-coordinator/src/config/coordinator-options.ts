import type { BaseAddress } from "../gateway/base-address.ts";

export const kvConnectorNames = ["kv-shared-storage", "kv-nixl", "kv-sglang"] as const;
export const ecConnectorNames = ["ec-shared-storage", "ec-nixl"] as const;

/** How a prefill server's KV cache gets to the decode server. */
export type KvConnectorName = (typeof kvConnectorNames)[number];

/** How what an encode server computed gets to the prefill server. */
export type EcConnectorName = (typeof ecConnectorNames)[number];

/** How long connections to one server are kept, and how many. */
export interface ConnectionOptions {
  readonly maxIdlePerTarget: number;
  /** Infinite for as long as the server keeps them. */
  readonly idleTimeoutMs: number;
}

/** What every step may choose for itself. */
export interface StepChoices {
  readonly kvConnector: KvConnectorName;
  readonly ecConnector: EcConnectorName;
  /** Prefill and encode requests go to the client's path; `false`: as token ids to `/inference/v1/generate`. */
  readonly openAiFormat: boolean;
}

export interface ReplaceMediaUrlsOptions extends StepChoices {
  readonly type: "replace-media-urls";
  /** Of one image, redirects included; `undefined` for as long as it takes. */
  readonly downloadTimeoutMs: number | undefined;
  readonly maxConcurrentDownloads: number;
  /** `undefined`: as many as the body holds. */
  readonly maxImages: number | undefined;
  readonly maxDownloadBytes: number;
  /** Of all images of a request. */
  readonly maxTotalDownloadBytes: number;
  readonly allowPrivateNetworks: boolean;
  /** In lower case; `undefined`: any host. */
  readonly allowedHosts: ReadonlySet<string> | undefined;
}

export interface RenderOptions extends StepChoices {
  readonly type: "render";
  /** `undefined`: only requests that bring their token ids can be served. */
  readonly address: BaseAddress | undefined;
  readonly timeoutMs: number | undefined;
  readonly connections: ConnectionOptions;
  readonly maxPromptTokens: number | undefined;
  readonly maxPlaceholderTokens: number | undefined;
}

export interface EncodeOptions extends StepChoices {
  readonly type: "encode";
  readonly maxParallel: number;
}

export interface PlainStepOptions extends StepChoices {
  readonly type: "conditional-decode" | "prefill" | "decode";
}

/** One step of the pipeline. */
export type StepOptions = ReplaceMediaUrlsOptions | RenderOptions | EncodeOptions | PlainStepOptions;

export type StepType = StepOptions["type"];

export interface GatewayOptions {
  readonly address: BaseAddress;
  readonly connections: ConnectionOptions;
  /** For the whole answer of an encode or prefill request; `undefined` for as long as it takes. */
  readonly timeoutMs: number | undefined;
  /** Until the answer of a decode request begins; `undefined` for as long as it takes. */
  readonly decodeTimeoutMs: number | undefined;
}

/** All that a coordinator has to know. */
export interface CoordinatorOptions {
  /** `undefined`: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
  /** 0: no port for metrics. */
  readonly metricsPort: number;
  /** For the whole body of a request; `undefined` for as long as it takes. */
  readonly readTimeoutMs: number | undefined;
  /** For a client that takes nothing of what waits for it; `undefined` for as long as it takes. */
  readonly writeTimeoutMs: number | undefined;
  readonly shutdownTimeoutMs: number;
  readonly maxBodyBytes: number;
  /** Of an answer that is kept as a whole: of render, encode and prefill. */
  readonly maxReplyBytes: number;
  readonly gateway: GatewayOptions;
  readonly steps: readonly StepOptions[];
  readonly sglang: SglangOptions;
  readonly tracing: boolean;
}

export interface SglangOptions {
  readonly bootstrapPort: number;
  /** Where decode servers meet the prefill server; `undefined`: only the prefill server's answer tells. */
  readonly bootstrapHost: string | undefined;
}
