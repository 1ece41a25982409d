import { randomUUID } from "node:crypto";
import { capOutput, noStream } from "../body/api-kind.ts";
import { editRoot } from "../body/edit-object.ts";
import { jsonText } from "../body/json-text.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { Stages } from "../stages.ts";
import type { KvConnector, PdRequest } from "./connector.ts";
import { type P2pPorts, p2pPortOf, remoteKvSource, sourceFor } from "./kv-source.ts";
import { runParallel } from "./parallel-legs.ts";
import type { PrefillFailurePolicy } from "./prefill-policy.ts";

export interface OffloadingOptions {
  readonly p2p: P2pPorts;
  readonly failurePolicy: PrefillFailurePolicy;
}

/** vLLM's OffloadingConnector with a peer-to-peer tier: the decode server waits for blocks under an id that both got. */
export class OffloadingConnector implements KvConnector {
  readonly pullsFromSources = true;
  readonly #stages: Stages;
  readonly #decodeLeg: DecodeLeg;
  readonly #options: OffloadingOptions;

  constructor(stages: Stages, decodeLeg: DecodeLeg, options: OffloadingOptions) {
    this.#stages = stages;
    this.#decodeLeg = decodeLeg;
    this.#options = options;
  }

  async serve(request: PdRequest): Promise<void> {
    const { root, api, prefill, encoded } = request;
    const { p2p, failurePolicy } = this.#options;
    const id = randomUUID();
    const source = sourceFor(request.kvSource, prefill);
    const prefillEdits = new Map(encoded);
    prefillEdits.set(
      "kv_transfer_params",
      jsonText({
        remote_decoder: { kv_request_id: id },
        remote_kv_source: source === undefined ? undefined : remoteKvSource(source, p2p),
      }),
    );
    capOutput(prefillEdits, api, root, false);
    noStream(prefillEdits);
    const decodeEdits = new Map(encoded);
    decodeEdits.set(
      "kv_transfer_params",
      jsonText({
        remote_prefiller: { kv_request_id: id, remote_host: prefill.host, remote_port: p2pPortOf(prefill, p2p) },
      }),
    );
    const legs = {
      connector: "offloading",
      prefillBody: editRoot(root, prefillEdits),
      decodeBody: editRoot(root, decodeEdits),
    };
    await runParallel(this.#stages, this.#decodeLeg, request, legs, failurePolicy);
  }
}
