import type { ServiceClient } from "../gateway/service-client.ts";
import type { RequestContext } from "../pipeline/request-context.ts";
import type { Step, StepOutcome } from "../pipeline/step.ts";
import { decodeBody } from "./decode-edits.ts";
import { relayDecode } from "./relay-decode.ts";

const phaseHeaders: ReadonlyMap<string, string> = new Map([
  ["epp-profile", "decode"],
  ["prefer", "if-available"],
]);

/** The picker's answer when no decode server has the prompt in its cache. */
const missStatus = 412;

/** Answers the client from a decode server that has the prompt in its cache, if there is one. */
export class ConditionalDecode implements Step {
  readonly type = "conditional-decode";
  readonly #gateway: ServiceClient;
  readonly #timeoutMs: number | undefined;

  constructor(gateway: ServiceClient, timeoutMs: number | undefined) {
    this.#gateway = gateway;
    this.#timeoutMs = timeoutMs;
  }

  async run(context: RequestContext): Promise<StepOutcome> {
    const { exchange } = context;
    const body = decodeBody(context, undefined);
    const call = { name: this.type, path: exchange.request.path, body, headers: phaseHeaders };
    const outcome = await relayDecode(this.#gateway, context, call, { timeoutMs: this.#timeoutMs, missStatus });
    const isHit = outcome.kind === "answered" && outcome.reason === undefined && !exchange.cancellation.isCancelled;
    if (outcome.kind === "missed") exchange.metrics.conditionalDecodes.labels("miss").inc();
    else if (isHit) exchange.metrics.conditionalDecodes.labels("hit").inc();
    return outcome.kind === "missed" ? undefined : outcome;
  }
}
