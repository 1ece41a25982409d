import type { IncomingMessage, ServerResponse } from "node:http";
import type { ControlState } from "../control/control-state.ts";
import type { Logger } from "../log.ts";
import type { EngineName } from "../metrics/metric-families.ts";
import type { MetricsPage } from "../metrics/metrics-page.ts";
import type { GenerationKind, ServedModels } from "../openai/generation-request.ts";
import type { GenerationService } from "../openai/generation-service.ts";
import { modelList } from "../openai/model-list.ts";
import { renderChat, renderCompletion } from "../openai/render.ts";
import { tokenize } from "../openai/tokenize.ts";
import { ApiError, ClientGone, sendError, sendJson } from "./api-error.ts";
import type { BodyReader } from "./body-reader.ts";
import { parseJsonObject } from "./json-document.ts";

/** What the API needs from the server it belongs to. */
export interface ApiHost {
  readonly name: string;
  readonly draining: boolean;
  controlState(): ControlState;
  /** Rejects with `ApiError` when the patch cannot be applied; `from` says which port it came in on. */
  applyControl(patch: unknown, from: "main" | "control"): Promise<ControlState>;
}

export interface ApiParts {
  readonly served: ServedModels;
  readonly engine: EngineName;
  readonly generation: GenerationService;
  readonly page: MetricsPage;
  readonly bodies: BodyReader;
  readonly controlBodies: BodyReader;
  readonly startedUnixSeconds: number;
  readonly logger: Logger;
}

interface Route {
  readonly kind: "inference" | "metrics" | "control" | "other";
  readonly methods: Readonly<Record<string, Handler>>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** Routes requests. A request that fails is answered with an error in OpenAI's shape and disturbs no other. */
export class Api {
  readonly #host: ApiHost;
  readonly #parts: ApiParts;
  readonly #mainRoutes: ReadonlyMap<string, Route>;
  readonly #controlRoutes: ReadonlyMap<string, Route>;

  constructor(host: ApiHost, parts: ApiParts) {
    this.#host = host;
    this.#parts = parts;
    const metrics: Route = { kind: "metrics", methods: { GET: (_, response) => this.#metrics(response) } };
    const main = new Map<string, Route>([
      ["/v1/completions", this.#inference("completion")],
      ["/v1/chat/completions", this.#inference("chat")],
      ["/inference/v1/generate", this.#inference("generate")],
      ["/v1/completions/render", this.#document(renderCompletion)],
      ["/v1/chat/completions/render", this.#document(renderChat)],
      ["/v1/models", { kind: "other", methods: { GET: (_, response) => this.#models(response) } }],
      ["/query", { kind: "other", methods: { GET: (_, response) => this.#bootstrap(response) } }],
      ["/tokenize", this.#document(tokenize)],
      ["/health", { kind: "other", methods: { GET: (_, response) => void response.writeHead(200).end() } }],
      ["/metrics", metrics],
      ["/control", this.#control("main")],
    ]);
    if (parts.engine === "trtllm-serve") main.set("/prometheus/metrics", metrics);
    this.#mainRoutes = main;
    this.#controlRoutes = new Map([["/control", this.#control("control")]]);
  }

  /** Answers a request of the main port. Never throws. */
  handleMain(request: IncomingMessage, response: ServerResponse): void {
    this.#handle(this.#mainRoutes, request, response);
  }

  /** Answers a request of the control port. Never throws. */
  handleControl(request: IncomingMessage, response: ServerResponse): void {
    this.#handle(this.#controlRoutes, request, response);
  }

  #handle(routes: ReadonlyMap<string, Route>, request: IncomingMessage, response: ServerResponse): void {
    response.setHeader("x-model-sim-server", this.#host.name);
    // A write to a connection that just broke ends here; the `close` event follows and does the cleaning up.
    response.on("error", (error) => this.#parts.logger.debug("reply not written", { error: error.message }));
    this.#answer(routes, request, response).catch((error: unknown) => this.#failed(error, request, response));
  }

  async #answer(routes: ReadonlyMap<string, Route>, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const route = routes.get(path);
    const { hang } = this.#host.controlState();
    const kind = route?.kind ?? "other";
    // The service of inference requests hangs by itself, since it also counts them.
    if (kind !== "inference" && kind !== "control" && (hang === "all" || hang === kind)) {
      request.resume();
      return;
    }
    if (route === undefined) {
      const list = [...routes.keys()].join(", ");
      throw new ApiError(404, `There is no ${JSON.stringify(path.slice(0, 128))} here. Paths: ${list}.`);
    }
    const method = request.method ?? "GET";
    const handler = Object.hasOwn(route.methods, method) ? route.methods[method] : undefined;
    if (handler === undefined) {
      const allow = Object.keys(route.methods).join(", ");
      throw new ApiError(405, `${path} takes ${allow}, not ${method}.`, { headers: { allow } });
    }
    if (route.kind === "inference" && this.#host.draining) throw new ApiError(503, "The server is shutting down.");
    await handler(request, response);
  }

  #failed(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    if (error instanceof ClientGone || response.destroyed) return;
    if (!(error instanceof ApiError)) {
      this.#parts.logger.error("request failed", { path: request.url, error: String(error) });
    } else {
      this.#parts.logger.info("request refused", { path: request.url, status: error.status, reason: error.type });
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    sendError(response, error instanceof ApiError ? error : new ApiError(500, "The server failed; its log says why."));
  }

  #inference(kind: GenerationKind): Route {
    const { generation } = this.#parts;
    return { kind: "inference", methods: { POST: (request, response) => generation.serve(kind, request, response) } };
  }

  #control(from: "main" | "control"): Route {
    const post: Handler = async (request, response) => {
      const patch = parseJsonObject(await this.#parts.controlBodies.read(request));
      sendJson(response, 200, await this.#host.applyControl(patch, from));
    };
    return {
      kind: "control",
      methods: { GET: (_, response) => sendJson(response, 200, this.#host.controlState()), POST: post },
    };
  }

  #models(response: ServerResponse): void {
    sendJson(response, 200, modelList(this.#parts.served, this.#parts.startedUnixSeconds));
  }

  /** What Mooncake's bootstrap server says: the engine of each rank. */
  #bootstrap(response: ServerResponse): void {
    sendJson(response, 200, { "0": { engine_id: this.#parts.generation.engineId } });
  }

  /** A route that answers a document with another. */
  #document(answer: (document: Readonly<Record<string, unknown>>, served: ServedModels) => object): Route {
    const post: Handler = async (request, response) => {
      const document = parseJsonObject(await this.#parts.bodies.read(request));
      sendJson(response, 200, answer(document, this.#parts.served));
    };
    return { kind: "other", methods: { POST: post } };
  }

  #metrics(response: ServerResponse): void {
    const page = this.#parts.page.bytes();
    response.writeHead(200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
      "content-length": page.length,
    });
    response.end(page);
  }
}
