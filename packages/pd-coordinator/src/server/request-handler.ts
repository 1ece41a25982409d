import { scanJson } from "@pointsman/core/json";
import { readBody } from "@pointsman/pd-sidecar/shared";
import { type Api, apiOf } from "../pipeline/api.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { readGenerateInput } from "../pipeline/read-generate-input.ts";
import { newContext } from "../pipeline/request-context.ts";
import type { Exchange } from "./exchange.ts";

const probes: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

export interface HandlerParts {
  readonly pipeline: Pipeline;
  readonly maxBodyBytes: number;
  /** Missing values: undefined when requests can be served, else why not. */
  notReady(): string | undefined;
}

/** Finds out what a request asks for, and has the pipeline serve it. */
export class RequestHandler {
  readonly #parts: HandlerParts;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
  }

  /** Tells whether a request is one for the model. */
  infers({ request }: Exchange): boolean {
    return request.method === "POST" && apiOf(request.path) !== undefined;
  }

  /** Answers a request. Rejects only for a bug. */
  async handle(exchange: Exchange): Promise<void> {
    const { method, path } = exchange.request;
    const api = apiOf(path);
    if (api !== undefined && method === "POST") await this.#infer(exchange, api);
    else if (probes.has(path) && (method === "GET" || method === "HEAD")) {
      const problem = path === "/readyz" ? this.#parts.notReady() : undefined;
      if (problem !== undefined) exchange.respond(503, problem);
      else exchange.reply.sendWhole(200, undefined, Buffer.from("ok"), ["content-type", "text/plain; charset=utf-8"]);
    } else if (api !== undefined || probes.has(path)) exchange.respond(405, "method not allowed");
    else exchange.respond(404, "page not found");
  }

  async #infer(exchange: Exchange, api: Api): Promise<void> {
    const { maxBodyBytes, pipeline } = this.#parts;
    const outcome = await readBody(exchange.req, maxBodyBytes);
    // A body that ends after its time has run out has been answered.
    if (outcome.kind === "gone" || exchange.reply.ended) return;
    if (outcome.kind === "too-large") {
      exchange.respond(413, "request body too large");
      return;
    }
    const document = scanJson(outcome.body);
    if (!document.ok || document.root.kind !== "object") {
      const problem = document.ok ? `it is a ${document.root.kind}, not an object` : document.message;
      exchange.respond(400, `invalid JSON body: ${problem}`);
      return;
    }
    const context = newContext(exchange, api, document.root);
    const problem = api === "generate" ? readGenerateInput(context) : undefined;
    if (problem !== undefined) {
      exchange.metrics.phaseFailures.labels("input", "bad-request").inc();
      exchange.respond(400, `bad request (request_id: ${exchange.requestId}): ${problem}`);
      return;
    }
    await pipeline.serve(context);
  }
}
