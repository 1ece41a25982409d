import { maxWindowBytes } from "./http2-protocol.ts";

/** Bounds of one server on {@link createHttp2Server}. Every one holds per connection unless it says otherwise. */
export interface Http2Limits {
  /** Streams open at once; more are refused with REFUSED_STREAM. */
  readonly maxConcurrentStreams: number;
  /** Connections open at once, per server; more are closed. */
  readonly maxConnections: number;
  /** Names, values and 32 bytes a field of one request; more ends the RPC with RESOURCE_EXHAUSTED. */
  readonly maxHeaderListBytes: number;
  /** CONTINUATION frames of one header block. */
  readonly maxContinuations: number;
  /** Bytes that a client may send on a stream before they are read and credited. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /**
   * Memory of messages that are not complete; the RPC that would take more ends with RESOURCE_EXHAUSTED. At least
   * `maxReceiveBytes`, so that one message always fits.
   */
  readonly maxPartialMessageBytes: number;
  /**
   * Bytes of gzip messages, counted decompressed and 4 KiB each at least, at once and per second. The RPC whose message comes
   * when they are used up ends with RESOURCE_EXHAUSTED. The burst is at least `maxReceiveBytes`.
   */
  readonly inflateBurstBytes: number;
  readonly inflateBytesPerSecond: number;
  /** Unsent bytes of one stream above which the stream's receive window is not renewed. */
  readonly maxStreamOutputBytes: number;
  /** Unsent bytes of all streams above which the connection's receive window is not renewed. */
  readonly maxConnectionOutputBytes: number;
  /**
   * Unsent bytes of all streams above which the stream that sends more is reset. Replies that a service makes at once, such
   * as large bodies that it gives back, wait for the socket even when the client reads as fast as it can.
   */
  readonly maxUnsentBytes: number;
  /** Bytes that wait for the socket above which nothing more is read from it. */
  readonly maxSocketBacklogBytes: number;
  /** Time for a connection's TLS handshake, for its preface and first SETTINGS, and for a whole header block. */
  readonly headerTimeoutMs: number;
  /** Streams that a client may cancel before they were answered, at once and per second. Each finished RPC gives 100 back. */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** SETTINGS frames, at once and per second. */
  readonly settingsBurst: number;
  readonly settingsPerSecond: number;
  /** PING frames, at once and per second. */
  readonly pingBurst: number;
  readonly pingsPerSecond: number;
  /** Frames without effect (PRIORITY, unknown types, DATA without bytes, other frames of closed streams), at once and per second. */
  readonly idleFrameBurst: number;
  readonly idleFramesPerSecond: number;
}

export const defaultHttp2Limits: Http2Limits = {
  maxConcurrentStreams: 10_000,
  maxConnections: 10_000,
  maxHeaderListBytes: 32_768,
  maxContinuations: 16,
  streamWindowBytes: 1_048_576,
  connectionWindowBytes: 16_777_216,
  maxPartialMessageBytes: 268_435_456,
  inflateBurstBytes: 67_108_864,
  inflateBytesPerSecond: 67_108_864,
  maxStreamOutputBytes: 1_048_576,
  maxConnectionOutputBytes: 16_777_216,
  maxUnsentBytes: 1_073_741_824,
  maxSocketBacklogBytes: 1_048_576,
  headerTimeoutMs: 10_000,
  resetBurst: 20_000,
  resetsPerSecond: 2_000,
  settingsBurst: 200,
  settingsPerSecond: 20,
  pingBurst: 20_000,
  pingsPerSecond: 10_000,
  idleFrameBurst: 10_000,
  idleFramesPerSecond: 1_000,
};

/** The largest value of a setting. */
const maxSetting = 0xffffffff;

/** The limits in force: defaults where none are stated, and none beyond what HTTP/2 can say. */
export function http2Limits(stated: Partial<Http2Limits> = {}): Http2Limits {
  const limits = { ...defaultHttp2Limits, ...stated };
  return {
    ...limits,
    maxConcurrentStreams: Math.min(limits.maxConcurrentStreams, maxSetting),
    maxHeaderListBytes: Math.min(limits.maxHeaderListBytes, maxSetting),
    streamWindowBytes: Math.min(limits.streamWindowBytes, maxWindowBytes),
    connectionWindowBytes: Math.min(limits.connectionWindowBytes, maxWindowBytes),
  };
}

/** When a silent connection is asked for a sign of life, and when it counts as dead. */
export interface Http2Keepalive {
  /** Silence after which a PING goes out. */
  readonly intervalMs: number;
  /** Silence after the PING, or time that one write to the socket takes, after which the connection is dropped. */
  readonly timeoutMs: number;
}

export const defaultHttp2Keepalive: Http2Keepalive = { intervalMs: 60_000, timeoutMs: 20_000 };
