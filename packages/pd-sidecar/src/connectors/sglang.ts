import { editRoot } from "../body/edit-object.ts";
import { jsonText, RawJson } from "../body/json-text.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { Stages } from "../stages.ts";
import { newBootstrapRoom } from "./bootstrap-room.ts";
import type { KvConnector, PdRequest } from "./connector.ts";
import { runParallel } from "./parallel-legs.ts";
import type { PrefillFailurePolicy } from "./prefill-policy.ts";

export interface SglangOptions {
  readonly bootstrapPort: number;
  readonly failurePolicy: PrefillFailurePolicy;
}

/** SGLang's disaggregation: both servers get one body, which names the room where they meet. */
export class SglangConnector implements KvConnector {
  readonly pullsFromSources = false;
  readonly #stages: Stages;
  readonly #decodeLeg: DecodeLeg;
  readonly #options: SglangOptions;

  constructor(stages: Stages, decodeLeg: DecodeLeg, options: SglangOptions) {
    this.#stages = stages;
    this.#decodeLeg = decodeLeg;
    this.#options = options;
  }

  async serve(request: PdRequest): Promise<void> {
    const { root, prefill, encoded } = request;
    const edits = new Map(encoded);
    edits.set("bootstrap_host", jsonText(prefill.host));
    edits.set("bootstrap_port", jsonText(this.#options.bootstrapPort));
    edits.set("bootstrap_room", jsonText(new RawJson(newBootstrapRoom())));
    const body = editRoot(root, edits);
    const legs = { connector: "sglang", prefillBody: body, decodeBody: body };
    await runParallel(this.#stages, this.#decodeLeg, request, legs, this.#options.failurePolicy);
  }
}
