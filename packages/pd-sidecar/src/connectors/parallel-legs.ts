import { errorText } from "@pointsman/core";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import type { Relay } from "../decode/relay.ts";
import { failureReason, type StageReply, type Stages } from "../stages.ts";
import { succeeded } from "../upstream/collect-reply.ts";
import type { PdRequest } from "./connector.ts";
import { afterPrefillFailure, type PrefillFailurePolicy } from "./prefill-policy.ts";

/** Bodies and headers of a prefill and a decode request that run side by side. */
export interface ParallelLegs {
  readonly connector: string;
  readonly prefillBody: readonly Uint8Array[];
  readonly prefillHeaders?: ReadonlyMap<string, string>;
  readonly decodeBody: readonly Uint8Array[];
}

/**
 * Runs prefill and decode at the same time and answers with the decode server's answer.
 *
 * The decode server waits for the prefill server's cache. So its answer is held until its first body byte or the success
 * of the prefill, and a prefill that fails before then ends the decode request too, instead of letting it wait in vain.
 */
export async function runParallel(
  stages: Stages,
  decodeLeg: DecodeLeg,
  request: PdRequest,
  legs: ParallelLegs,
  policy: PrefillFailurePolicy,
): Promise<void> {
  const { exchange, prefill } = request;
  const prefillLeg = exchange.cancellation.child();
  let passed = false;
  const pass = (relay: Relay): void => {
    passed = true;
    relay.release();
  };
  const relay = stages.decode(exchange, legs.decodeBody, {
    hold: true,
    onHeld: (held) => {
      if (held.heldBytes > 0 || held.isComplete || held.failure !== undefined) pass(held);
    },
  });
  const prefillDone = stages.prefill(exchange, prefill, legs.prefillBody, legs.prefillHeaders, prefillLeg.cancellation);
  const watched = prefillDone.then(async (reply) => {
    if (succeeded(reply)) pass(relay);
    else if (passed) late(request, legs.connector, reply);
    else {
      relay.drop();
      await afterPrefillFailure(request, reply, policy, decodeLeg);
    }
  });
  const end = await relay.ended;
  // A decode server that refuses or fails leaves nobody to take the cache.
  if (end.kind === "failed" || (end.kind === "complete" && end.status >= 400)) prefillLeg.cancellation.cancel();
  // A prefill that is still running after a good answer finishes: other requests may find its cache.
  if (end.kind === "complete" && end.status < 400) {
    prefillLeg.release();
    watched.catch((thrown: unknown) => {
      exchange.metrics.internalErrors.inc();
      exchange.logger.error({ problem: errorText(thrown) }, "the end of a prefill could not be handled");
    });
    return;
  }
  await watched;
}

/** The decode server has begun to answer, so it has got what it needed or computes it itself. */
function late(request: PdRequest, connector: string, reply: StageReply): void {
  const reason = failureReason(reply);
  if (reason === undefined || reason === "cancelled") return;
  request.exchange.metrics.kvTransferFailures.labels(connector, reason).inc();
  request.exchange.logger.warn(
    { requestId: request.exchange.request.requestId, prefill: request.prefill.hostPort, reason },
    "prefill failed after the decode server had begun to answer",
  );
}
