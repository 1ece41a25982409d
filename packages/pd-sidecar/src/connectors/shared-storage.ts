import { elements, get, type JsonValue, scanJson, stringBytes } from "@pointsman/core/json";
import { capOutput } from "../body/api-kind.ts";
import { editRoot } from "../body/edit-object.ts";
import { jsonText } from "../body/json-text.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { Relay } from "../decode/relay.ts";
import { relayWhole, type Stages } from "../stages.ts";
import { succeeded } from "../upstream/collect-reply.ts";
import { failureText } from "../upstream/upstream-failure.ts";
import type { KvConnector, PdRequest } from "./connector.ts";
import { afterPrefillFailure, type PrefillFailurePolicy } from "./prefill-policy.ts";

export interface SharedStorageOptions {
  readonly failurePolicy: PrefillFailurePolicy;
}

const threshold = "cache_hit_threshold";
const zero = jsonText(0);
const thresholdReason = Buffer.from("cache_threshold");
const dataField = Buffer.from("data: ");
/** Events that tell whether the decode server begins to answer. */
const deciding = 2;
const unencoded: ReadonlyMap<string, string> = new Map([["accept-encoding", "identity"]]);

/**
 * A store that both servers reach: the decode server finds there what the prefill server put in. A request that names
 * the share of its prompt that must be cached goes to the decode server first, which declines when it has less.
 */
export class SharedStorageConnector implements KvConnector {
  readonly pullsFromSources = false;
  readonly #stages: Stages;
  readonly #decodeLeg: DecodeLeg;
  readonly #options: SharedStorageOptions;

  constructor(stages: Stages, decodeLeg: DecodeLeg, options: SharedStorageOptions) {
    this.#stages = stages;
    this.#decodeLeg = decodeLeg;
    this.#options = options;
  }

  async serve(request: PdRequest): Promise<void> {
    const { exchange, root, api, prefill, encoded } = request;
    // What the encode stage sets does not count: it says nothing about the decode server's cache.
    if (get(root, threshold) !== undefined && (await this.#decodeFirst(request))) return;
    if (exchange.cancellation.isCancelled) return;
    const prefillEdits = new Map(encoded);
    capOutput(prefillEdits, api, root, false);
    if (api === "chat_completions" || api === "messages") prefillEdits.set("max_completion_tokens", jsonText(1));
    prefillEdits.set(threshold, zero);
    const reply = await this.#stages.prefill(exchange, prefill, editRoot(root, prefillEdits));
    if (!succeeded(reply)) {
      await afterPrefillFailure(request, reply, this.#options.failurePolicy, this.#decodeLeg);
      return;
    }
    if (exchange.cancellation.isCancelled) return;
    const decodeEdits = new Map(encoded);
    decodeEdits.set(threshold, zero);
    await this.#stages.decode(exchange, editRoot(root, decodeEdits)).ended;
  }

  /** Returns true when the client has got its answer. */
  async #decodeFirst(request: PdRequest): Promise<boolean> {
    const { exchange, root, encoded } = request;
    const way = exchange.way;
    exchange.take(way.startsWith("encode") ? "encode-decode" : "decode-cached");
    const edits = new Map(encoded);
    edits.delete(threshold);
    const body = editRoot(root, edits);
    const answered =
      get(root, "stream")?.kind === "true"
        ? await this.#tryStream(request, body)
        : await this.#tryDocument(request, body);
    if (!answered) exchange.take(way);
    return answered;
  }

  async #tryDocument({ exchange }: PdRequest, body: readonly Uint8Array[]): Promise<boolean> {
    const reply = await this.#stages.decodeWhole(exchange, body);
    if (exchange.cancellation.isCancelled) return true;
    if (!reply.answered) {
      const { kind } = reply.failure;
      const type = kind === "connect-refused" ? "ServiceUnavailable" : "BadGateway";
      exchange.fail(type, `decode server: ${failureText(reply.failure)}`);
      return true;
    }
    if (succeeded(reply)) {
      const document = scanJson(reply.body);
      if (!document.ok) {
        exchange.fail("InternalError", `the decode server's answer is no JSON: ${document.message}`);
        return true;
      }
      if (declined(document.root)) return false;
    }
    relayWhole(exchange, reply);
    return true;
  }

  /** Looks at the first events of a stream before any of them goes to the client. */
  async #tryStream({ exchange }: PdRequest, body: readonly Uint8Array[]): Promise<boolean> {
    let isDeclined = false;
    const look = (relay: Relay): void => {
      const { status, isComplete, failure } = relay;
      if (failure !== undefined || (status !== undefined && (status < 200 || status > 299))) {
        relay.release();
        return;
      }
      const held = relay.heldBody();
      if (streamDeclined(held, isComplete)) {
        isDeclined = true;
        relay.drop();
      } else if (isComplete || eventCount(held) >= deciding) relay.release();
    };
    const relay = this.#stages.decode(exchange, body, { headers: unencoded, hold: true, onHeld: look });
    await relay.ended;
    return !isDeclined;
  }
}

function declined(root: JsonValue): boolean {
  const choices = elements(get(root, "choices"));
  while (choices.next()) {
    const reason = stringBytes(get(choices, "finish_reason"));
    if (reason !== undefined && thresholdReason.equals(reason)) return true;
  }
  return false;
}

function eventCount(held: Buffer): number {
  let count = 0;
  for (let at = 0; ; count++) {
    const unix = held.indexOf("\n\n", at);
    const dos = held.indexOf("\r\n\r\n", at);
    if (unix === -1 && dos === -1) return count;
    at = dos === -1 || (unix !== -1 && unix < dos) ? unix + 2 : dos + 4;
  }
}

/** Looks through whole lines; the last one too when the stream is complete. */
function streamDeclined(held: Buffer, isComplete: boolean): boolean {
  if (held.indexOf(thresholdReason) === -1) return false;
  let from = 0;
  for (;;) {
    const end = held.indexOf(0x0a, from);
    if (end === -1 && !isComplete) return false;
    const line = held.subarray(from, end === -1 ? held.length : end);
    if (line.subarray(0, dataField.length).equals(dataField)) {
      const event = scanJson(line.subarray(dataField.length));
      if (event.ok && declined(event.root)) return true;
    }
    if (end === -1) return false;
    from = end + 1;
  }
}
