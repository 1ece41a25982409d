import type { PlainStepOptions, SglangOptions } from "../config/coordinator-options.ts";
import { newKvTransfer } from "../connectors/kv-connector.ts";
import type { ServiceClient } from "../gateway/service-client.ts";
import type { RequestContext } from "../pipeline/request-context.ts";
import type { Step, StepOutcome } from "../pipeline/step.ts";
import { decodeBody } from "./decode-edits.ts";
import { relayDecode } from "./relay-decode.ts";

const phaseHeaders: ReadonlyMap<string, string> = new Map([["epp-profile", "decode"]]);

/** Answers the client from a decode server. */
export class Decode implements Step {
  readonly type = "decode";
  readonly #options: PlainStepOptions;
  readonly #sglang: SglangOptions;
  readonly #gateway: ServiceClient;
  readonly #timeoutMs: number | undefined;

  constructor(options: PlainStepOptions, sglang: SglangOptions, gateway: ServiceClient, timeoutMs: number | undefined) {
    this.#options = options;
    this.#sglang = sglang;
    this.#gateway = gateway;
    this.#timeoutMs = timeoutMs;
  }

  async run(context: RequestContext): Promise<StepOutcome> {
    const { exchange, kvAnswered } = context;
    // In a pipeline without prefill the parameters are those of an answer that says nothing.
    const transfer = context.kvTransfer ?? newKvTransfer(this.#options.kvConnector, this.#sglang);
    const body = decodeBody(context, transfer.decode(kvAnswered));
    const call = { name: this.type, path: exchange.request.path, body, headers: phaseHeaders };
    const outcome = await relayDecode(this.#gateway, context, call, { timeoutMs: this.#timeoutMs });
    return outcome.kind === "missed" ? undefined : outcome;
  }
}
