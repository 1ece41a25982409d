import type { ResponseHead } from "@pointsman/http-proxy/http1";
import type { ApiKind } from "./body/api-kind.ts";
import { type BodyRewriter, usageRewriter } from "./body/usage-rewriter.ts";
import type { Cancellation } from "./cancellation.ts";
import { framingField } from "./client/client-request.ts";
import { requestIdHeader } from "./client/control-headers.ts";
import { Relay, type RelayEnd, type RelayOptions } from "./decode/relay.ts";
import type { Exchange } from "./exchange.ts";
import type { Stage } from "./sidecar-metrics.ts";
import { type CollectedReply, collectReply, type FailedReply } from "./upstream/collect-reply.ts";
import type { Target } from "./upstream/target.ts";
import { failureText, type UpstreamFailure } from "./upstream/upstream-failure.ts";
import type { UpstreamPool } from "./upstream/upstream-pool.ts";

/** Connections of the three stages, one pool each. */
export interface StagePools {
  readonly prefill: UpstreamPool;
  readonly decode: UpstreamPool;
  readonly encode: UpstreamPool;
}

export interface StageLimits {
  /** Largest answer that is kept as a whole. */
  readonly maxReplyBytes: number;
  /** Time for a whole answer of a prefill or encode server; `undefined` for as long as it takes. */
  readonly prefillTimeoutMs: number | undefined;
  readonly encodeTimeoutMs: number | undefined;
}

/** What a decode request needs beside its body. */
export interface DecodeOptions {
  readonly headers?: ReadonlyMap<string, string>;
  /** Puts this number of cached tokens into the usage report. */
  readonly cachedTokens?: { readonly api: ApiKind; readonly text: Uint8Array };
  readonly hold?: boolean;
  readonly onHeld?: (relay: Relay) => void;
}

export type StageReply = CollectedReply | FailedReply;

const unencoded: ReadonlySet<string> = new Set(["accept-encoding"]);
const noHeaders: ReadonlyMap<string, string> = new Map();
/** Headers of a client that encoders get: who asks, and which trace it belongs to. */
const encoderFields = ["authorization", "traceparent", "tracestate", "baggage"];

/** Calls to the model servers of one rank: each is counted, timed and traced. */
export class Stages {
  readonly #pools: StagePools;
  readonly #limits: StageLimits;
  /** This rank's own model server. */
  readonly decoder: Target;

  constructor(pools: StagePools, limits: StageLimits, decoder: Target) {
    this.#pools = pools;
    this.#limits = limits;
    this.decoder = decoder;
  }

  /** Sends the client's request with another body to a prefill server and waits for its whole answer. */
  async prefill(
    exchange: Exchange,
    target: Target,
    body: readonly Uint8Array[],
    headers: ReadonlyMap<string, string> = noHeaders,
    cancellation: Cancellation = exchange.cancellation,
  ): Promise<StageReply> {
    exchange.facts["prefill"] = target.hostPort;
    return await this.#collect(exchange, "prefill", target, body, headers, cancellation, this.#limits.prefillTimeoutMs);
  }

  /** Sends the client's request with another body to the decode server and waits for its whole answer. */
  async decodeWhole(
    exchange: Exchange,
    body: readonly Uint8Array[],
    headers: ReadonlyMap<string, string> = noHeaders,
  ): Promise<StageReply> {
    const target = exchange.decoder ?? this.decoder;
    return await this.#collect(exchange, "decode", target, body, headers, exchange.cancellation, undefined);
  }

  /** Starts the decode request; its answer goes to the client as it comes. */
  decode(exchange: Exchange, body: readonly Uint8Array[], options: DecodeOptions = {}): Relay {
    const { headers = noHeaders, cachedTokens, hold, onHeld } = options;
    return this.#relay(exchange, body, headers, byteLength(body), false, {
      ...(cachedTokens === undefined ? {} : { rewriter: (answer: ResponseHead) => rewriterFor(answer, cachedTokens) }),
      ...(hold === undefined ? {} : { hold }),
      ...(onHeld === undefined ? {} : { onHeld }),
    });
  }

  /** Passes a request on as it is; where a body is coming, it follows with `write` on the relay's call. */
  pass(exchange: Exchange, framing: number | "chunked" | "none"): Relay {
    return this.#relay(exchange, [], noHeaders, framing, framing !== "none" && framing !== 0, {});
  }

  /** Sends one item to an encode server. */
  async encode(
    exchange: Exchange,
    target: Target,
    body: readonly Uint8Array[],
    requestId: string,
    cancellation: Cancellation,
  ): Promise<StageReply> {
    const { metrics } = exchange;
    const startedMs = performance.now();
    const span = exchange.trace?.stage("encode", { "llm_d.ec_proxy.target": target.hostPort });
    const traced = span?.headers ?? noHeaders;
    let fields = exchange.request.pick(encoderFields.filter((name) => !traced.has(name)));
    for (const [name, value] of traced) fields += `${name}: ${value}\r\n`;
    const head =
      `POST /v1/chat/completions HTTP/1.1\r\nhost: ${target.hostPort}\r\ncontent-type: application/json\r\n` +
      `${requestIdHeader}: ${requestId}\r\n${fields}${framingField(byteLength(body))}\r\n`;
    const reply = await collectReply(
      this.#pools.encode,
      target,
      { head, body, toHead: false, open: false },
      { cancellation, maxBytes: this.#limits.maxReplyBytes, timeoutMs: this.#limits.encodeTimeoutMs },
    );
    metrics.stageDuration.labels("encode").observe((performance.now() - startedMs) / 1000);
    countFailure(exchange, "encode", reply);
    span?.end(replyFacts(reply), problemOf(reply));
    return reply;
  }

  /** Asks a prefill server for a page that is not part of a client's request. */
  async query(
    exchange: Exchange,
    target: Target,
    path: string,
    pool: UpstreamPool,
    timeoutMs: number,
  ): Promise<StageReply> {
    const head = `GET ${path} HTTP/1.1\r\nhost: ${target.hostPort}\r\naccept: application/json\r\n\r\n`;
    return await collectReply(
      pool,
      target,
      { head, body: [], toHead: false, open: false },
      { cancellation: exchange.cancellation, maxBytes: this.#limits.maxReplyBytes, timeoutMs },
    );
  }

  async #collect(
    exchange: Exchange,
    stage: "prefill" | "decode",
    target: Target,
    body: readonly Uint8Array[],
    headers: ReadonlyMap<string, string>,
    cancellation: Cancellation,
    timeoutMs: number | undefined,
  ): Promise<StageReply> {
    const startedMs = performance.now();
    const span = exchange.trace?.stage(stage, { [`llm_d.pd_proxy.${stage}_target`]: target.hostPort });
    const head = exchange.request.head(target.hostPort, {
      set: merged(headers, span?.headers),
      // The sidecar reads the answer.
      remove: unencoded,
      framing: byteLength(body),
    });
    const reply = await collectReply(
      this.#pools[stage],
      target,
      { head, body, toHead: false, open: false },
      { cancellation, maxBytes: this.#limits.maxReplyBytes, timeoutMs },
    );
    const elapsedMs = performance.now() - startedMs;
    exchange.metrics.stageDuration.labels(stage).observe(elapsedMs / 1000);
    exchange.facts[`${stage}Ms`] = Math.round(elapsedMs * 10) / 10;
    countFailure(exchange, stage, reply);
    span?.end(replyFacts(reply), problemOf(reply));
    return reply;
  }

  #relay(
    exchange: Exchange,
    body: readonly Uint8Array[],
    headers: ReadonlyMap<string, string>,
    framing: number | "chunked" | "none",
    open: boolean,
    options: Omit<RelayOptions, "onFirstByte" | "onUnanswered" | "onEnd">,
  ): Relay {
    const startedMs = performance.now();
    const target = exchange.decoder ?? this.decoder;
    const span = exchange.trace?.stage("decode", { "llm_d.pd_proxy.decode.target": target.hostPort });
    const head = exchange.request.head(target.hostPort, { set: merged(headers, span?.headers), framing });
    const request = { head, body, toHead: exchange.request.method === "HEAD", open };
    return new Relay(this.#pools.decode, target, request, exchange, {
      ...options,
      onFirstByte: () => firstByte(exchange),
      onUnanswered: (failure) => unanswered(exchange, failure),
      onEnd: (end) => {
        this.#decodeEnded(exchange, end, startedMs);
        span?.end({}, end.kind === "failed" ? end.failure.problem : undefined);
      },
    });
  }

  #decodeEnded(exchange: Exchange, end: RelayEnd, startedMs: number): void {
    const elapsedMs = performance.now() - startedMs;
    exchange.metrics.stageDuration.labels("decode").observe(elapsedMs / 1000);
    exchange.facts["decodeMs"] = Math.round(elapsedMs * 10) / 10;
    if (end.kind === "failed") exchange.metrics.stageFailures.labels("decode", end.failure.kind).inc();
    else if (end.kind === "complete" && end.status >= 400) {
      exchange.metrics.stageFailures.labels("decode", statusClass(end.status)).inc();
    }
  }
}

export function statusClass(status: number): string {
  return `status_${Math.floor(status / 100)}xx`;
}

/** Answers the client with a server's answer as it is. */
export function relayWhole(exchange: Exchange, reply: CollectedReply): void {
  exchange.reply.sendWhole(reply.status, reply.headers, reply.body);
}

export function byteLength(body: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const slice of body) bytes += slice.length;
  return bytes;
}

function unanswered(exchange: Exchange, failure: UpstreamFailure): void {
  if (failure.kind === "connect-refused") {
    exchange.fail("ServiceUnavailable", "the decode server is not ready: connection refused");
  } else exchange.fail("BadGateway", `decode server: ${failureText(failure)}`);
}

function firstByte(exchange: Exchange): void {
  exchange.metrics.firstByte.labels(exchange.way).observe((performance.now() - exchange.startedMs) / 1000);
}

function rewriterFor(
  head: ResponseHead,
  cached: { readonly api: ApiKind; readonly text: Uint8Array },
): BodyRewriter | undefined {
  if (head.status < 200 || head.status > 299) return undefined;
  const coding = head.headers.get("content-encoding");
  if (coding !== undefined && coding !== "identity") return undefined;
  return usageRewriter(cached.api, cached.text, head.headers.get("content-type"));
}

function countFailure(exchange: Exchange, stage: Stage, reply: StageReply): void {
  const reason = failureReason(reply);
  if (reason !== undefined) exchange.metrics.stageFailures.labels(stage, reason).inc();
}

/** Why a stage failed, as a label. Missing values: undefined when it did not. */
export function failureReason(reply: StageReply): string | undefined {
  if (!reply.answered) return reply.failure.kind;
  return reply.status >= 200 && reply.status <= 299 ? undefined : statusClass(reply.status);
}

function replyFacts(reply: StageReply): Readonly<Record<string, number>> {
  return reply.answered ? { "http.response.status_code": reply.status } : {};
}

function problemOf(reply: StageReply): string | undefined {
  if (!reply.answered) return reply.failure.problem;
  return reply.status >= 400 ? `status ${reply.status}` : undefined;
}

function merged(
  headers: ReadonlyMap<string, string>,
  more: ReadonlyMap<string, string> | undefined,
): ReadonlyMap<string, string> {
  return more === undefined ? headers : new Map([...headers, ...more]);
}
