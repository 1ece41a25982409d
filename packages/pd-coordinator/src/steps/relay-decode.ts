import { failureText, type Relay, type UpstreamFailure } from "@pointsman/pd-sidecar/shared";
import type { ServiceCall, ServiceClient } from "../gateway/service-client.ts";
import type { RequestContext } from "../pipeline/request-context.ts";
import { failed, type StepOutcome, statusClass } from "../pipeline/step.ts";

export interface RelayDecodeOptions {
  /** Until the answer begins; `undefined` for as long as it takes. */
  readonly timeoutMs: number | undefined;
  /** An answer with this status is not for the client. */
  readonly missStatus?: number;
}

export type DecodeOutcome = Exclude<StepOutcome, undefined> | { readonly kind: "missed" };

/** Of an answer that is not for the client, more is not waited for to keep its connection. */
const maxMissBytes = 64 * 1024;
const maxMissMs = 1000;

/**
 * Sends a decode request and passes its answer to the client as it comes.
 *
 * Beside a prefill that runs at the same time, the answer is held until its first body byte or the success of the
 * prefill; a prefill that fails before then ends the decode request, which would wait in vain.
 */
export async function relayDecode(
  gateway: ServiceClient,
  context: RequestContext,
  call: ServiceCall,
  options: RelayDecodeOptions,
): Promise<DecodeOutcome> {
  const { exchange, alongside } = context;
  const { timeoutMs, missStatus } = options;
  let unanswered: UpstreamFailure | undefined;
  let instead: DecodeOutcome | undefined;
  let passed = false;
  let missTimer: NodeJS.Timeout | undefined;
  const pass = (relay: Relay): void => {
    passed = true;
    relay.release();
  };
  const drop = (relay: Relay, outcome: DecodeOutcome): void => {
    instead ??= outcome;
    relay.drop();
  };
  const relay = gateway.relay(exchange, call, {
    hold: true,
    onUnanswered: (failure) => {
      unanswered = failure;
    },
    onHeld: (held) => {
      const { failure, isComplete } = held;
      if (missStatus !== undefined && held.status === missStatus) {
        missTimer ??= setTimeout(() => drop(held, { kind: "missed" }), maxMissMs);
        if (failure !== undefined || isComplete || held.heldBytes > maxMissBytes) drop(held, { kind: "missed" });
      } else if (failure !== undefined) pass(held);
      else if (alongside === undefined || held.heldBytes > 0 || isComplete) pass(held);
    },
  });
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          if (relay.status !== undefined) return;
          drop(relay, failed(call.name, "answer-timeout", `no answer in ${timeoutMs} ms`));
        }, timeoutMs);
  alongside?.ended.then(
    (outcome) => {
      if (outcome === undefined) pass(relay);
      else if (!passed) drop(relay, outcome);
      else late(context, outcome);
    },
    () => {},
  );
  const end = await relay.ended;
  clearTimeout(timer);
  clearTimeout(missTimer);
  const isRefused = end.kind === "complete" && end.status >= 400;
  // A decode server that refuses or fails leaves nobody to take the cache. After a miss another one follows.
  if (end.kind === "failed" || isRefused || (instead !== undefined && instead.kind !== "missed")) alongside?.cancel();
  if (instead !== undefined) return instead;
  if (unanswered !== undefined) return failed(call.name, unanswered.kind, failureText(unanswered));
  if (end.kind === "failed") return { kind: "answered", reason: end.failure.kind };
  const status = end.kind === "complete" ? end.status : 0;
  return { kind: "answered", reason: status >= 400 ? statusClass(status) : undefined };
}

/** The decode server had begun to answer, so it has got what it needed or computes it itself. */
function late({ exchange }: RequestContext, outcome: Exclude<StepOutcome, undefined>): void {
  const { reason } = outcome;
  if (reason === undefined || reason === "cancelled") return;
  exchange.metrics.kvTransferFailures.labels("kv-sglang", reason).inc();
  exchange.logger.warn({ requestId: exchange.requestId, reason }, "prefill failed after decode had begun to answer");
}
