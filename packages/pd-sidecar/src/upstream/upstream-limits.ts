/** Times and sizes of connections to model servers. */
export interface UpstreamLimits {
  readonly connectTimeoutMs: number;
  readonly tlsHandshakeTimeoutMs: number;
  /** Idle connections are closed after this long, sooner when the server says so. */
  readonly idleTimeoutMs: number;
  readonly maxIdlePerTarget: number;
  readonly maxHeaderBytes: number;
}

/** Source: spec disaggregation, section 3. */
export const upstreamDefaults: UpstreamLimits = {
  connectTimeoutMs: 30_000,
  tlsHandshakeTimeoutMs: 10_000,
  idleTimeoutMs: 90_000,
  maxIdlePerTarget: 1024,
  maxHeaderBytes: 1024 * 1024,
};

/** How connections of one stage are encrypted; `undefined` in its place means not at all. */
export interface UpstreamTls {
  readonly skipVerify: boolean;
}
