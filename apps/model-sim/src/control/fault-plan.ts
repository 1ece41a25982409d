import { randomStream } from "../random-stream.ts";
import type { ControlState } from "./control-state.ts";

/** What is done to one inference request. Undefined = nothing. */
export interface RequestFaults {
  readonly hangs: boolean;
  readonly errorStatus: number | undefined;
  readonly cutAfterChunks: number | undefined;
}

/** Decides the fate of inference requests. Equal seeds and equal requests in equal order give equal decisions. */
export class FaultPlan {
  readonly #drawError: () => number;
  readonly #drawCut: () => number;

  constructor(seed: number) {
    this.#drawError = randomStream(seed, "errors");
    this.#drawCut = randomStream(seed, "cut");
  }

  next(state: ControlState): RequestFaults {
    const { errors, cut, hang } = state;
    return {
      hangs: hang === "all" || hang === "inference",
      errorStatus: errors !== null && this.#drawError() < errors.fraction ? errors.status : undefined,
      cutAfterChunks: cut !== null && this.#drawCut() < cut.fraction ? cut.afterChunks : undefined,
    };
  }
}
