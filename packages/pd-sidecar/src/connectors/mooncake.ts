import { randomInt, randomUUID } from "node:crypto";
import { capOutput, noStream } from "../body/api-kind.ts";
import { editRoot } from "../body/edit-object.ts";
import { jsonText } from "../body/json-text.ts";
import { dataParallelRankHeader } from "../client/control-headers.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { Stages } from "../stages.ts";
import type { KvConnector, PdRequest } from "./connector.ts";
import type { MooncakeEngines } from "./mooncake-engines.ts";
import { runParallel } from "./parallel-legs.ts";
import { decodeAlone, type PrefillFailurePolicy } from "./prefill-policy.ts";

export interface MooncakeOptions {
  readonly failurePolicy: PrefillFailurePolicy;
}

/** vLLM's MooncakeConnector: the prefill server's bootstrap names its engines, one of which both requests agree on. */
export class MooncakeConnector implements KvConnector {
  readonly pullsFromSources = false;
  readonly #stages: Stages;
  readonly #decodeLeg: DecodeLeg;
  readonly #engines: MooncakeEngines;
  readonly #options: MooncakeOptions;

  constructor(stages: Stages, decodeLeg: DecodeLeg, engines: MooncakeEngines, options: MooncakeOptions) {
    this.#stages = stages;
    this.#decodeLeg = decodeLeg;
    this.#engines = engines;
    this.#options = options;
  }

  async serve(request: PdRequest): Promise<void> {
    const { exchange, root, api, prefill, encoded } = request;
    const { failurePolicy } = this.#options;
    const engines = await this.#engines.of(exchange, prefill);
    if (exchange.cancellation.isCancelled) return;
    if (typeof engines === "string") {
      exchange.metrics.kvTransferFailures.labels("mooncake", "bootstrap").inc();
      if (failurePolicy === "decode-only") await decodeAlone(request, this.#decodeLeg);
      else exchange.fail("BadGateway", `mooncake bootstrap of the prefill server: ${engines}`);
      return;
    }
    const { rank, engineId } = engines[randomInt(engines.length)]!;
    const transferId = `xfer-${randomUUID()}`;
    const prefillEdits = new Map(encoded);
    prefillEdits.set(
      "kv_transfer_params",
      jsonText({ do_remote_prefill: false, do_remote_decode: true, transfer_id: transferId }),
    );
    capOutput(prefillEdits, api, root, false);
    noStream(prefillEdits);
    const decodeEdits = new Map(encoded);
    decodeEdits.set(
      "kv_transfer_params",
      jsonText({
        do_remote_prefill: true,
        do_remote_decode: false,
        transfer_id: transferId,
        remote_bootstrap_addr: `http://${this.#engines.bootstrapOf(prefill).hostPort}`,
        remote_engine_id: engineId,
      }),
    );
    const legs = {
      connector: "mooncake",
      prefillBody: editRoot(root, prefillEdits),
      prefillHeaders: new Map([[dataParallelRankHeader, String(rank)]]),
      decodeBody: editRoot(root, decodeEdits),
    };
    await runParallel(this.#stages, this.#decodeLeg, request, legs, failurePolicy);
    // Its engines may have changed with a restart.
    if (exchange.way === "decode-fallback" || exchange.reply.status >= 500) this.#engines.forget(prefill);
  }
}
