import { errorText } from "@pointsman/core";
import type { RequestContext } from "./request-context.ts";
import type { Step, StepOutcome } from "./step.ts";

/** The steps that a request takes, one after the other. */
export class Pipeline {
  readonly #steps: readonly Step[];

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
  }

  /** Serves a request to the end. Rejects only for a bug. */
  async serve(context: RequestContext): Promise<void> {
    const { exchange } = context;
    for (const step of this.#steps) {
      if (exchange.cancellation.isCancelled) return;
      const startedMs = performance.now();
      const outcome = await step.run(context);
      if (context.alongside !== undefined && step.type === "prefill") {
        context.alongside.ended.then(
          (late) => note(context, step, startedMs, late),
          (thrown: unknown) => {
            exchange.metrics.internalErrors.inc();
            exchange.logger.error({ requestId: exchange.requestId, problem: errorText(thrown) }, "internal error");
          },
        );
      } else note(context, step, startedMs, outcome);
      if (outcome === undefined) continue;
      if (outcome.kind !== "answered") answerFailure(context, outcome);
      return;
    }
  }

  stop(): void {
    for (const step of this.#steps) step.stop?.();
  }
}

/** Counts and times a step that has ended. */
function note({ exchange }: RequestContext, { type }: Step, startedMs: number, outcome: StepOutcome): void {
  const elapsedMs = performance.now() - startedMs;
  exchange.metrics.phaseDuration.labels(type).observe(elapsedMs / 1000);
  exchange.facts[`${type}Ms`] = Math.round(elapsedMs * 10) / 10;
  // A phase that ended because the client left has not failed.
  if (outcome?.reason !== undefined && !exchange.cancellation.isCancelled) {
    exchange.metrics.phaseFailures.labels(type, outcome.reason).inc();
  }
}

function answerFailure({ exchange }: RequestContext, failure: Exclude<StepOutcome, undefined>): void {
  if (failure.kind === "answered" || exchange.cancellation.isCancelled) return;
  const { requestId, logger } = exchange;
  const { kind, status, name, problem } = failure;
  exchange.facts["failed"] = name;
  logger.info({ requestId, status, step: name, problem }, "request not served");
  if (kind === "bad-request") exchange.respond(status, `bad request (request_id: ${requestId}): ${problem}`);
  else if (kind === "rejected") {
    exchange.respond(status, `${name} rejected the request: HTTP ${status} (request_id: ${requestId})`);
  } else exchange.respond(status, `internal error (request_id: ${requestId})`);
}
