import { setTimeout as delay } from "node:timers/promises";
import { get, type JsonValue, keepValue, rawBytes, scanJson } from "@pointsman/core/json";
import { capOutput, noStream } from "../body/api-kind.ts";
import { editRoot } from "../body/edit-object.ts";
import { jsonText, type PlainJson } from "../body/json-text.ts";
import { cachedTokensOf } from "../body/usage-path.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { Exchange } from "../exchange.ts";
import type { StageReply, Stages } from "../stages.ts";
import { succeeded } from "../upstream/collect-reply.ts";
import type { KvConnector, PdRequest } from "./connector.ts";
import { type P2pPorts, remoteKvSource, sourceFor } from "./kv-source.ts";
import type { MoriioSettings } from "./moriio-params.ts";
import { readTransfer, writeTransfer } from "./nixl-transfer.ts";
import { afterPrefillFailure, decodeAlone, type PrefillFailurePolicy } from "./prefill-policy.ts";

export interface NixlV2Options {
  /** Of MoRI-IO engines; 1 for others. */
  readonly ranks: number;
  /** Prefill servers write their cache to the decode server; `undefined` when it is read. */
  readonly write: MoriioSettings | undefined;
  /** Prefill servers may fetch cache from another server; `undefined` when they cannot. */
  readonly p2p: P2pPorts | undefined;
  readonly maxRetries: number;
  readonly retryBackoffMs: number;
  readonly failurePolicy: PrefillFailurePolicy;
}

const zero = jsonText(0);
const retriedStatuses = [502, 503, 504];

/**
 * vLLM's NixlConnector: prefill first, whose answer says where its KV cache is, then decode, which reads it from there.
 */
export class NixlV2Connector implements KvConnector {
  readonly #stages: Stages;
  readonly #decodeLeg: DecodeLeg;
  readonly #options: NixlV2Options;

  constructor(stages: Stages, decodeLeg: DecodeLeg, options: NixlV2Options) {
    this.#stages = stages;
    this.#decodeLeg = decodeLeg;
    this.#options = options;
  }

  get pullsFromSources(): boolean {
    return this.#options.p2p !== undefined;
  }

  async serve(request: PdRequest): Promise<void> {
    const { exchange, root, api, encoded } = request;
    const requestId = exchange.request.identify();
    const { write, ranks } = this.#options;
    const transfer = write === undefined ? readTransfer(requestId, ranks) : writeTransfer(requestId, write);
    const edits = new Map(encoded);
    edits.set("kv_transfer_params", jsonText({ ...transfer.prefillMembers, ...this.#sourceMember(request) }));
    noStream(edits);
    capOutput(edits, api, root, true);
    const reply = await this.#prefill(request, editRoot(root, edits), transfer.prefillHeaders);
    if (!succeeded(reply)) {
      await afterPrefillFailure(request, reply, this.#options.failurePolicy, this.#decodeLeg);
      return;
    }
    if (exchange.cancellation.isCancelled) return;
    const answer = scanJson(reply.body);
    if (!answer.ok) {
      exchange.metrics.kvTransferFailures.labels("nixlv2", "not-json").inc();
      if (this.#options.failurePolicy === "decode-only") await decodeAlone(request, this.#decodeLeg);
      else exchange.fail("BadRequestError", `the prefill server's answer is no JSON: ${answer.message}`);
      return;
    }
    const params = get(answer.root, "kv_transfer_params");
    if (params?.kind !== "object") missingParams(exchange, params);
    const cached = cachedTokensOf(api, answer.root);
    const decodeEdits = new Map(encoded);
    const decode = transfer.decode(params);
    decodeEdits.set("kv_transfer_params", decode.text);
    await this.#decodeLeg.run(exchange, root, editRoot(root, decodeEdits), {
      api,
      headers: decode.headers,
      cachedTokens: cached === undefined ? zero : rawBytes(keepValue(cached)),
    });
  }

  #sourceMember({ kvSource, prefill }: PdRequest): { readonly [key: string]: PlainJson } {
    const source = sourceFor(kvSource, prefill);
    const { p2p } = this.#options;
    return source === undefined || p2p === undefined ? {} : { remote_kv_source: remoteKvSource(source, p2p) };
  }

  /** Tries again what may pass by itself: no connection, and the statuses of an overloaded or restarting server. */
  async #prefill(
    request: PdRequest,
    body: readonly Uint8Array[],
    headers: ReadonlyMap<string, string>,
  ): Promise<StageReply> {
    const { exchange, prefill } = request;
    const { maxRetries, retryBackoffMs } = this.#options;
    for (let retries = 0; ; retries++) {
      const reply = await this.#stages.prefill(exchange, prefill, body, headers);
      if (retries >= maxRetries || !isTransient(reply) || exchange.cancellation.isCancelled) return reply;
      await delay(retryBackoffMs);
      if (exchange.cancellation.isCancelled) return reply;
      exchange.metrics.prefillRetries.inc();
    }
  }
}

function isTransient(reply: StageReply): boolean {
  if (reply.answered) return retriedStatuses.includes(reply.status);
  return reply.failure.kind !== "cancelled" && reply.failure.kind !== "too-large";
}

function missingParams(exchange: Exchange, params: JsonValue | undefined): void {
  exchange.metrics.kvTransferFailures.labels("nixlv2", "no-params").inc();
  exchange.logger.warn(
    { requestId: exchange.request.requestId, found: params?.kind ?? "nothing" },
    "the prefill server's answer has no kv_transfer_params; the decode server computes the prompt itself",
  );
}
