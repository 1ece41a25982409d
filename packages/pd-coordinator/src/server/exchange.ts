import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "@pointsman/core";
import { Cancellation, ClientReply, originForm, type RelayClient } from "@pointsman/pd-sidecar/shared";
import type { CoordinatorMetrics } from "../coordinator-metrics.ts";
import { ForwardedHeaders } from "../gateway/forwarded-headers.ts";
import type { RequestTrace } from "../tracing.ts";

const requestIdShape = /^[a-zA-Z0-9-]{1,128}$/;

/** One client's request and its answer. */
export class Exchange implements RelayClient {
  readonly req: IncomingMessage;
  readonly request: { readonly method: string; readonly path: string };
  readonly headers: ForwardedHeaders;
  /** The client's id of the request, or a new one where it has none that can be passed on. */
  readonly requestId: string;
  readonly reply: ClientReply;
  /** Cancelled when the client leaves before its answer is complete. */
  readonly cancellation: Cancellation = new Cancellation();
  readonly startedMs: number = performance.now();
  readonly metrics: CoordinatorMetrics;
  readonly logger: Logger;
  trace: RequestTrace | undefined;
  /** For the log. */
  readonly facts: Record<string, string | number> = {};

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    deps: { readonly metrics: CoordinatorMetrics; readonly logger: Logger; lastOnConnection(): boolean },
  ) {
    this.req = req;
    const url = originForm(req.url ?? "/");
    this.request = { method: req.method ?? "GET", path: url.split("?", 1)[0]! };
    this.headers = new ForwardedHeaders(req);
    const [given = ""] = this.headers.values("x-request-id");
    this.requestId = requestIdShape.test(given) ? given : randomUUID();
    this.reply = new ClientReply(req, res, () => deps.lastOnConnection());
    this.metrics = deps.metrics;
    this.logger = deps.logger;
    res.on("close", () => {
      if (!this.reply.ended || res.writableFinished === false) this.cancellation.cancel();
    });
    // A connection that breaks is told by `close`.
    res.on("error", () => {});
    req.on("error", () => {});
  }

  firstByte(): void {
    this.metrics.firstByte.labels(this.request.path).observe((performance.now() - this.startedMs) / 1000);
  }

  /** Answers with a line of text; after the answer has begun, cuts it. */
  respond(status: number, text: string): void {
    if (!this.reply.headSent) {
      const fields = ["content-type", "text/plain; charset=utf-8", "x-content-type-options", "nosniff"];
      this.reply.sendWhole(status, undefined, Buffer.from(`${text}\n`), fields);
    } else if (!this.reply.ended) this.reply.cut();
  }
}
