import { randomStream } from "../random-stream.ts";
import type { ControlState, KvTransferMode } from "./control-state.ts";

/** What is done to one inference request. Undefined = nothing. */
export interface RequestFaults {
  readonly hangs: boolean;
  readonly errorStatus: number | undefined;
  readonly cutAfterChunks: number | undefined;
  /** What happens to the transfer of the prompt's KV cache, if there is one. */
  readonly kvTransfer: KvTransferMode | undefined;
}

/** Decides the fate of inference requests. Equal seeds and equal requests in equal order give equal decisions. */
export class FaultPlan {
  readonly #drawError: () => number;
  readonly #drawCut: () => number;
  readonly #drawKvTransfer: () => number;

  constructor(seed: number) {
    this.#drawError = randomStream(seed, "errors");
    this.#drawCut = randomStream(seed, "cut");
    this.#drawKvTransfer = randomStream(seed, "kvTransfer");
  }

  next(state: ControlState): RequestFaults {
    const { errors, cut, hang, kvTransfer } = state;
    return {
      hangs: hang === "all" || hang === "inference",
      errorStatus: errors !== null && this.#drawError() < errors.fraction ? errors.status : undefined,
      cutAfterChunks: cut !== null && this.#drawCut() < cut.fraction ? cut.afterChunks : undefined,
      kvTransfer: kvTransfer !== null && this.#drawKvTransfer() < kvTransfer.fraction ? kvTransfer.mode : undefined,
    };
  }
}
