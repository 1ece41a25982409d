import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "@pointsman/core";
import { Cancellation } from "./cancellation.ts";
import { ClientReply } from "./client/client-reply.ts";
import { ClientRequest } from "./client/client-request.ts";
import { wayHeader } from "./client/control-headers.ts";
import { type ErrorReply, type ErrorType, errorReply } from "./client/error-reply.ts";
import type { SidecarMetrics } from "./sidecar-metrics.ts";
import type { RequestTrace, SpanAttributes } from "./tracing.ts";
import type { Target } from "./upstream/target.ts";

/** Which stages a request passed. The value of the `x-pd-way` header and of the metrics' label. */
export type Way =
  | "decode"
  | "prefill-decode"
  | "encode-decode"
  | "encode-prefill-decode"
  /** The decode server alone, because prefill failed. */
  | "decode-fallback"
  /** The decode server alone: it had the prompt in its cache. */
  | "decode-cached"
  /** Answered by the sidecar. */
  | "refused";

/** One client's request and its answer. */
export class Exchange {
  readonly req: IncomingMessage;
  readonly request: ClientRequest;
  readonly reply: ClientReply;
  /** Cancelled when the client leaves before its answer is complete. */
  readonly cancellation: Cancellation = new Cancellation();
  readonly startedMs: number = performance.now();
  readonly metrics: SidecarMetrics;
  readonly logger: Logger;
  trace: RequestTrace | undefined;
  /** The model server of another rank, where the request names one. */
  decoder: Target | undefined;
  /** For the log. */
  readonly facts: Record<string, string | number> = {};
  #way: Way = "decode";

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    deps: { readonly metrics: SidecarMetrics; readonly logger: Logger; lastOnConnection(): boolean },
  ) {
    this.req = req;
    this.request = new ClientRequest(req);
    this.reply = new ClientReply(req, res, () => deps.lastOnConnection());
    this.metrics = deps.metrics;
    this.logger = deps.logger;
    res.on("close", () => {
      // HTTP/2 responses do not tell whether all of them went out.
      if (!this.reply.ended || res.writableFinished === false) this.cancellation.cancel();
    });
    // A connection that breaks is told by `close`.
    res.on("error", () => {});
    req.on("error", () => {});
  }

  get way(): Way {
    return this.#way;
  }

  /** Says which way the request takes; the reply names it. */
  take(way: Way): void {
    this.#way = way;
    if (!this.reply.headSent) this.reply.extraFields = [wayHeader, way];
  }

  /** Answers with an error of the sidecar's own; after the answer has begun, cuts it. */
  fail(type: ErrorType, message: string): void {
    this.respond(errorReply(type, message));
  }

  respond({ status, contentType, body }: ErrorReply): void {
    if (this.reply.headSent) {
      if (!this.reply.ended) this.reply.cut();
    } else this.reply.sendWhole(status, undefined, body, ["content-type", contentType]);
  }

  finishTrace(attributes: SpanAttributes, problem?: string): void {
    this.trace?.end(attributes, problem);
    this.trace = undefined;
  }
}
