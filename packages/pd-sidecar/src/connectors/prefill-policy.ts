import { editRoot } from "../body/edit-object.ts";
import type { DecodeLeg } from "../decode/decode-leg.ts";
import { failureReason, relayWhole, type StageReply } from "../stages.ts";
import { failureText } from "../upstream/upstream-failure.ts";
import type { PdRequest } from "./connector.ts";

/** What becomes of a request whose prefill failed: `return` the failure, or let the decode server do all of the work. */
export type PrefillFailurePolicy = "return" | "decode-only";

/** Name of the fallback in the metrics. */
export const decodeOnlyFallback = "decode-only";

/** Tells whether a failed prefill can be made up for: not when the request itself was refused, or nobody waits for it. */
function canFallBack(reply: StageReply): boolean {
  if (!reply.answered) return reply.failure.kind !== "cancelled";
  return reply.status >= 500 || reply.status === 408 || reply.status === 429;
}

/** Answers a request whose prefill failed, as the policy says. */
export async function afterPrefillFailure(
  request: PdRequest,
  reply: StageReply,
  policy: PrefillFailurePolicy,
  decodeLeg: DecodeLeg,
): Promise<void> {
  const { exchange } = request;
  if (exchange.cancellation.isCancelled) return;
  exchange.logger.warn(
    { requestId: exchange.request.requestId, prefill: request.prefill.hostPort, reason: failureReason(reply), policy },
    "prefill failed",
  );
  if (policy === "decode-only" && canFallBack(reply)) {
    await decodeAlone(request, decodeLeg);
  } else if (reply.answered) relayWhole(exchange, reply);
  else if (reply.failure.kind === "answer-timeout") {
    exchange.fail("GatewayTimeout", `prefill server: ${failureText(reply.failure)}`);
  } else exchange.fail("BadGateway", `prefill server: ${failureText(reply.failure)}`);
}

/** Lets the decode server compute the prompt. */
export async function decodeAlone(request: PdRequest, decodeLeg: DecodeLeg): Promise<void> {
  const { exchange, root, encoded } = request;
  exchange.metrics.fallbacks.labels(decodeOnlyFallback).inc();
  exchange.take("decode-fallback");
  // What the client may have sent for itself names no server here.
  const edits = new Map([...encoded, ["kv_transfer_params", undefined] as const]);
  await decodeLeg.run(exchange, root, editRoot(root, edits), { api: request.api });
}
