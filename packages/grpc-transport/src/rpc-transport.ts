import type { Http2Keepalive, Http2Limits } from "./http2-limits.ts";
import type { Http2Violation } from "./http2-violation.ts";

/** gRPC status codes that servers here send. Source: the gRPC specification. */
export const rpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** How an RPC ends. */
export interface RpcEnd {
  readonly code: number;
  readonly message: string;
}

/** The server's side of one RPC. */
export interface RpcStream {
  /**
   * Sends one message, given as slices that are sent one after the other. The slices must stay unchanged until sent.
   * Ignored after the end.
   */
  send(slices: readonly Uint8Array[]): void;
  /** Ends the RPC with a status, OK by default; what was sent before goes out first. Later calls are ignored. */
  end(status?: RpcEnd): void;
}

/** What a service does with one RPC. The methods must not throw; one that does ends the RPC with INTERNAL. */
export interface RpcHandler {
  /** One whole message. The bytes stay valid and unchanged. */
  message(bytes: Uint8Array): void;
  /** The client will send no more. */
  halfClose(): void;
  /**
   * The RPC is over before the server ended it: the client cancelled, its deadline passed, the connection broke, a method
   * of this handler threw. `code` is the RPC's status; on grpc-js it is CANCELLED for an RPC that the library ends, as for a
   * message that is too large.
   */
  cancelled(code: number): void;
}

/** Opens RPCs of one method. */
export type RpcMethod = (stream: RpcStream) => RpcHandler;

export interface RpcTls {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Oldest version that is spoken; TLSv1.2 when absent. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
  /** Suites in OpenSSL's notation, most wanted first; those that RFC 9113 allows when absent. */
  readonly ciphers?: string;
}

export interface RpcServerOptions {
  readonly host: string;
  /** 0 chooses a free port. */
  readonly port: number;
  /**
   * Path of a Unix socket to listen at, in place of host and port. Nothing may be there; it is removed with the server.
   * Who may connect is up to the permissions of its folder and of the file, which follow the process's umask.
   */
  readonly socketPath?: string;
  /** Plaintext when absent. */
  readonly tls?: RpcTls;
  /** By path, such as `/envoy.service.ext_proc.v3.ExternalProcessor/Process`. */
  readonly methods: ReadonlyMap<string, RpcMethod>;
  /** A larger message ends its RPC with RESOURCE_EXHAUSTED. */
  readonly maxReceiveBytes: number;
  /** A larger message of ours ends its RPC with RESOURCE_EXHAUSTED; unlimited when absent. */
  readonly maxSendBytes?: number;
  /** Bounds against hostile and slow peers; see {@link Http2Limits} for the defaults. On grpc-js, those of resets hold. */
  readonly limits?: Partial<Http2Limits>;
  /** Checks of silent connections. */
  readonly keepalive?: Http2Keepalive;
  /** Hears of each thing that a peer does against the protocol or beyond a limit. The transport on grpc-js is silent. */
  onViolation?(name: Http2Violation): void;
  /**
   * Hears of errors that a handler throws; its RPC ends with INTERNAL. When absent, the error is thrown again outside of
   * the transport, as an uncaught exception.
   */
  onHandlerError?(error: unknown): void;
}

/**
 * A gRPC server that knows methods as streams of bytes. One set of tests runs on all implementations; the README says how
 * they differ beside their speed.
 */
export interface RpcServer {
  /** Starts to listen. Rejects when the port cannot be had. A Unix socket has port 0. */
  start(): Promise<{ readonly port: number }>;
  /** Takes no new RPCs and waits for the open ones, at most `timeoutMs`; then ends what is left. */
  drain(timeoutMs: number): Promise<void>;
  /** Ends everything at once. */
  stop(): void;
  /** Uses another certificate for connections that come from here on. Throws when it is not valid, and keeps the old one. */
  reloadTls(tls: RpcTls): void;
  /** RPCs that are not over. */
  openStreams(): number;
}

export type RpcServerFactory = (options: RpcServerOptions) => RpcServer;
