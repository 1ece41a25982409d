import type { PlainStepOptions } from "../config/coordinator-options.ts";
import { decodeParams } from "../connectors/kv-connector.ts";
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
  readonly #gateway: ServiceClient;
  readonly #timeoutMs: number | undefined;

  constructor(options: PlainStepOptions, gateway: ServiceClient, timeoutMs: number | undefined) {
    this.#options = options;
    this.#gateway = gateway;
    this.#timeoutMs = timeoutMs;
  }

  async run(context: RequestContext): Promise<StepOutcome> {
    const { exchange, kvTransfer, kvAnswered } = context;
    const { kvConnector } = this.#options;
    // Of a prefill with another connector only the answer is known to this one, without prefill not even that.
    const isSame = kvTransfer?.name === kvConnector;
    const params = isSame ? kvTransfer.decode(kvAnswered) : decodeParams(kvConnector, kvAnswered);
    const body = decodeBody(context, params);
    const call = { name: this.type, path: exchange.request.path, body, headers: phaseHeaders };
    const outcome = await relayDecode(this.#gateway, context, call, { timeoutMs: this.#timeoutMs });
    return outcome.kind === "missed" ? undefined : outcome;
  }
}
