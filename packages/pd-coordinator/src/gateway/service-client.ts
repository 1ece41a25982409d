import {
  type Cancellation,
  type CollectedReply,
  collectReply,
  type FailedReply,
  Relay,
  type RelayOptions,
  type UpstreamFailure,
  UpstreamPool,
  type UpstreamRequest,
  upstreamDefaults,
} from "@pointsman/pd-sidecar/shared";
import type { ConnectionOptions } from "../config/coordinator-options.ts";
import type { Exchange } from "../server/exchange.ts";
import type { CallSpan } from "../tracing.ts";
import type { BaseAddress } from "./base-address.ts";

export type ServiceReply = CollectedReply | FailedReply;

/** One call for a request. */
export interface ServiceCall {
  /** Name of its span. */
  readonly name: string;
  readonly path: string;
  readonly body: readonly Uint8Array[];
  /** Names in lower case. */
  readonly headers?: ReadonlyMap<string, string>;
}

export interface ServiceOptions {
  readonly address: BaseAddress;
  readonly connections: ConnectionOptions;
  /** Largest answer that is kept as a whole. */
  readonly maxReplyBytes: number;
  broken(thrown: unknown): void;
}

/** Calls to one service, over connections that are kept. */
export class ServiceClient {
  readonly #address: BaseAddress;
  readonly #pool: UpstreamPool;
  readonly #maxReplyBytes: number;

  constructor(options: ServiceOptions) {
    this.#address = options.address;
    this.#maxReplyBytes = options.maxReplyBytes;
    this.#pool = new UpstreamPool({
      limits: { ...upstreamDefaults, ...options.connections },
      tls: options.address.encrypted ? { skipVerify: false } : undefined,
      broken: (thrown) => options.broken(thrown),
    });
  }

  /** Waits for a whole answer. `timeoutMs`: `undefined` for as long as it takes. Never rejects. */
  async collect(
    exchange: Exchange,
    call: ServiceCall,
    timeoutMs: number | undefined,
    cancellation: Cancellation = exchange.cancellation,
  ): Promise<ServiceReply> {
    const span = exchange.trace?.stage(call.name, spanFacts(this.#address));
    const reply = await collectReply(this.#pool, this.#address.target, this.#request(exchange, call, span, false), {
      cancellation,
      maxBytes: this.#maxReplyBytes,
      timeoutMs,
    });
    if (!reply.answered) span?.end({}, reply.failure.problem);
    else span?.end(statusFact(reply.status), reply.status >= 400 ? `status ${reply.status}` : undefined);
    return reply;
  }

  /** Passes an answer to the client as it comes. */
  relay(
    exchange: Exchange,
    call: ServiceCall,
    options: Pick<RelayOptions, "hold" | "onHeld"> & { onUnanswered(failure: UpstreamFailure): void },
  ): Relay {
    const span = exchange.trace?.stage(call.name, spanFacts(this.#address));
    return new Relay(this.#pool, this.#address.target, this.#request(exchange, call, span, true), exchange, {
      ...options,
      onFirstByte: () => exchange.firstByte(),
      onEnd: (end) => {
        if (end.kind === "failed") span?.end({}, end.failure.problem);
        else span?.end(end.kind === "complete" ? statusFact(end.status) : {});
      },
    });
  }

  stop(): void {
    this.#pool.stop();
  }

  #request(exchange: Exchange, call: ServiceCall, span: CallSpan | undefined, encoded: boolean): UpstreamRequest {
    const { path: base, authority } = this.#address;
    const { body } = call;
    const set = new Map([
      ["host", authority],
      ["content-type", "application/json"],
      ["content-length", String(byteLength(body))],
      ["x-request-id", exchange.requestId],
      ...(call.headers ?? []),
      ...(span?.headers ?? []),
    ]);
    const head = `POST ${base}${call.path} HTTP/1.1\r\n${exchange.headers.lines(set, encoded)}\r\n`;
    return { head, body, toHead: false, open: false };
  }
}

function byteLength(body: readonly Uint8Array[]): number {
  return body.reduce((bytes, slice) => bytes + slice.length, 0);
}

function spanFacts(address: BaseAddress): Readonly<Record<string, string>> {
  return { "server.address": address.target.hostPort };
}

function statusFact(status: number): Readonly<Record<string, number>> {
  return { "http.response.status_code": status };
}
