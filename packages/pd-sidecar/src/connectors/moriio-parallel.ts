import { capOutput, noStream } from "../body/api-kind.ts";
import { editRoot } from "../body/edit-object.ts";
import { jsonText } from "../body/json-text.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { Stages } from "../stages.ts";
import { succeeded } from "../upstream/collect-reply.ts";
import type { KvConnector, PdRequest } from "./connector.ts";
import { type P2pPorts, remoteKvSource, sourceFor } from "./kv-source.ts";
import { decodeParallelParams, type MoriioSettings, newTransferId, prefillWriteMembers } from "./moriio-params.ts";
import { moriioRank } from "./moriio-rank.ts";
import { keepForReader, rankHeader } from "./nixl-transfer.ts";
import { afterPrefillFailure, type PrefillFailurePolicy } from "./prefill-policy.ts";

export interface MoriioParallelOptions {
  readonly settings: MoriioSettings;
  readonly p2p: P2pPorts | undefined;
  /** Longest time the decode server's answer is held for the prefill server's. */
  readonly waitTimeoutMs: number;
  readonly failurePolicy: PrefillFailurePolicy;
}

const timeoutText = JSON.stringify({
  error: "decode aborted: prefill did not complete within the MoRI-IO parallel-dispatch KV-wait timeout",
});

/** MoRI-IO with both servers asked at the same time. The decode server's answer is held until prefill has succeeded. */
export class MoriioParallelConnector implements KvConnector {
  readonly #stages: Stages;
  readonly #decodeLeg: DecodeLeg;
  readonly #options: MoriioParallelOptions;

  constructor(stages: Stages, decodeLeg: DecodeLeg, options: MoriioParallelOptions) {
    this.#stages = stages;
    this.#decodeLeg = decodeLeg;
    this.#options = options;
  }

  get pullsFromSources(): boolean {
    return this.#options.p2p !== undefined;
  }

  async serve(request: PdRequest): Promise<void> {
    const { exchange, root, api, prefill, encoded } = request;
    const { settings, p2p, waitTimeoutMs, failurePolicy } = this.#options;
    const rank = moriioRank(exchange.request.identify(), settings.dpSize);
    const transferId = newTransferId();
    const source = sourceFor(request.kvSource, prefill);
    const prefillEdits = new Map(encoded);
    prefillEdits.set(
      "kv_transfer_params",
      jsonText({
        ...keepForReader,
        ...prefillWriteMembers(settings, rank, transferId),
        remote_kv_source: source === undefined || p2p === undefined ? undefined : remoteKvSource(source, p2p),
      }),
    );
    noStream(prefillEdits);
    capOutput(prefillEdits, api, root, true);
    const decodeEdits = new Map(encoded);
    decodeEdits.set("kv_transfer_params", jsonText(decodeParallelParams(settings, prefill, rank, transferId)));
    const headers = rankHeader(rank, settings.dpSize);

    const prefillLeg = exchange.cancellation.child();
    const relay = this.#stages.decode(exchange, editRoot(root, decodeEdits), { headers, hold: true });
    const body = editRoot(root, prefillEdits);
    const prefillDone = this.#stages.prefill(exchange, prefill, body, headers, prefillLeg.cancellation);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), waitTimeoutMs);
    });
    const reply = await Promise.race([prefillDone, late]);
    clearTimeout(timer);
    if (reply === undefined) {
      relay.drop();
      prefillLeg.cancellation.cancel();
      exchange.metrics.kvTransferFailures.labels("moriio", "timeout").inc();
      exchange.respond({ status: 504, contentType: "application/json", body: Buffer.from(timeoutText) });
    } else if (succeeded(reply)) {
      relay.release();
      await relay.ended;
    } else {
      relay.drop();
      await afterPrefillFailure(request, reply, failurePolicy, this.#decodeLeg);
    }
    prefillLeg.release();
  }
}
