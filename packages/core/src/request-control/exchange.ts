import type { Clock } from "../clock.ts";
import { errorText } from "../errors.ts";
import { type HeaderMutation, Headers } from "../headers.ts";
import type { Logger } from "../logger.ts";
import type { ParsedRequest, Parser } from "../plugin/parser.ts";
import type { ResponseBodyProcessor, ResponseHeaderProcessor, TerminationCause } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import { InferenceRequest, type MetadataObject } from "../request.ts";
import { RequestError } from "../request-error.ts";
import type { PluginCalls } from "../scheduling/plugin-calls.ts";
import { controlHeaders, wireNames } from "../wire-names.ts";
import type { ExchangeSink, ImmediateReply, RoutedRequest } from "./exchange-sink.ts";
import { joinChunks } from "./join-chunks.ts";
import { type ParserSelection, requestPath } from "./parser-selection.ts";
import type { RequestControl } from "./request-control.ts";
import type { RequestMetrics } from "./request-metrics.ts";
import { ResponsePhase } from "./response-phase.ts";

/** What all exchanges of one plugin graph share. */
export interface Router {
  readonly control: RequestControl;
  readonly parsers: ParserSelection;
  readonly responseHeaderProcessors: readonly NamedPlugin<ResponseHeaderProcessor>[];
  readonly responseBodyProcessors: readonly NamedPlugin<ResponseBodyProcessor>[];
  readonly metrics: RequestMetrics;
  readonly calls: PluginCalls;
  readonly clock: Clock;
  readonly logger: Logger;
  random(): number;
  newRequestId(): string;
  /** A larger request body ends the request with 413. */
  readonly maxRequestBodyBytes: number;
  /** Put the primary profile's scores into the metadata of the reply. */
  readonly emitScores: boolean;
}

/**
 * One HTTP request and its answer, seen by the picker.
 *
 * A data plane calls the methods in the order things arrive and gets told what to do through its sink. The request is
 * held until its body is whole, then routed; the answer passes through. `close` must be called exactly once at the end.
 * No method throws; what goes wrong ends this exchange only.
 */
export class Exchange {
  readonly #router: Router;
  readonly #sink: ExchangeSink;
  readonly #receivedAtMs: number;
  #headers: Headers | undefined;
  #requestId = "";
  #generatedRequestId = false;
  #metadata: MetadataObject = {};
  #chunks: Uint8Array[] = [];
  #bodyBytes = 0;
  #parser: NamedPlugin<Parser> | undefined;
  #request: InferenceRequest | undefined;
  #result: SchedulingResult | undefined;
  #errorCode: string | undefined;
  #state: "receiving" | "deciding" | "routed" | "ended" = "receiving";
  #running = false;
  #response: ResponsePhase | undefined;
  #closed = false;

  constructor(router: Router, sink: ExchangeSink) {
    this.#router = router;
    this.#sink = sink;
    this.#receivedAtMs = router.clock.now();
  }

  /** The request being routed, once its body is parsed. */
  get request(): InferenceRequest | undefined {
    return this.#request;
  }

  get requestId(): string {
    return this.#requestId;
  }

  requestHeaders(headers: Headers, endOfStream: boolean, metadata: MetadataObject): void {
    if (this.#state !== "receiving" || this.#headers !== undefined) return;
    this.#headers = headers;
    this.#metadata = metadata;
    const given = headers.get(wireNames.requestId);
    this.#generatedRequestId = given === undefined || given === "";
    this.#requestId = this.#generatedRequestId ? this.#router.newRequestId() : given!;
    if (endOfStream) this.#routeBodyless();
  }

  /** `metadata` of a body message replaces that of the headers when it says anything. */
  requestBody(bytes: Uint8Array, endOfStream: boolean, metadata: MetadataObject): void {
    if (this.#state !== "receiving") return;
    for (const _ in metadata) {
      this.#metadata = metadata;
      break;
    }
    this.#bodyBytes += bytes.length;
    const limit = this.#router.maxRequestBodyBytes;
    if (this.#bodyBytes > limit) {
      this.#chunks = [];
      this.#refuse(new RequestError("PayloadTooLarge", `request body exceeds ${limit} bytes`));
      return;
    }
    if (bytes.length > 0) this.#chunks.push(bytes);
    if (endOfStream) this.#routeBody(false);
  }

  /** Trailers end a body that was not marked as ended. */
  requestTrailers(): void {
    if (this.#state === "receiving") this.#routeBody(true);
    else if (this.#state === "routed") this.#sink.requestTrailers();
  }

  responseHeaders(headers: Headers, endOfStream: boolean, metadata: MetadataObject): void {
    if (this.#state === "ended") return;
    // An answer can overtake the decision (the proxy answered itself); the decision is then of no use.
    this.#state = "routed";
    this.#startResponse().headers(headers, endOfStream, metadata);
  }

  responseBody(bytes: Uint8Array, endOfStream: boolean): void {
    if (this.#state === "ended") return;
    this.#state = "routed";
    this.#startResponse().body(bytes, endOfStream);
  }

  responseTrailers(): void {
    if (this.#state === "ended") return;
    this.#state = "routed";
    this.#startResponse().trailers();
  }

  /** Ends the exchange. `cause` says why if the answer is not complete. */
  close(cause: Exclude<TerminationCause, "natural">): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#state = "ended";
    this.#request?.abort();
    const { metrics, clock } = this.#router;
    if (this.#result !== undefined) this.#startResponse().finish(cause);
    if (this.#running) {
      this.#running = false;
      metrics.of(this.#request).running.dec();
    }
    const response = this.#response;
    if (response?.modelServerError === true) metrics.error(this.#request, "ModelServerError");
    else if (this.#errorCode !== undefined) metrics.error(this.#request, this.#errorCode);
    if (response?.complete === true) {
      const bound = metrics.of(this.#request);
      bound.durationSeconds.observe((clock.now() - this.#receivedAtMs) / 1000);
      if (response.usage !== undefined) metrics.usage(this.#request, response.usage);
    }
    this.#chunks = [];
  }

  #routeBodyless(): void {
    const endpoints = this.#router.control.candidates({ proxyMetadata: this.#metadata });
    const endpoint = endpoints[Math.floor(this.#router.random() * endpoints.length)];
    if (endpoint === undefined) {
      this.#refuse(
        new RequestError(
          "ServiceUnavailable",
          "failed to find endpoint candidates for serving the request",
          "rejected-no-endpoints",
        ),
      );
      return;
    }
    this.#state = "routed";
    this.#sink.routed({
      targets: [endpoint],
      destination: endpoint.hostPort,
      headers: this.#requestMutation(endpoint.hostPort, undefined, undefined),
      body: [],
      bodyBytes: 0,
      hasBody: false,
      scores: undefined,
      trailersFollow: false,
      skipResponse: false,
    });
  }

  #routeBody(trailersFollow: boolean): void {
    this.#state = "deciding";
    const { parsers, calls, clock } = this.#router;
    const headers = this.#headers ?? new Headers();
    const path = requestPath(headers);
    const parser = parsers.select(path);
    if (parser === undefined) {
      this.#refuse(new RequestError("BadRequest", `no parser registered matching path suffix for: ${path}`));
      return;
    }
    this.#parser = parser;
    const body = joinChunks(this.#chunks, this.#bodyBytes);
    this.#chunks = [];
    const startMs = clock.now();
    let parsed: ParsedRequest | RequestError;
    try {
      parsed = parser.instance.parseRequest(path, headers, body);
    } catch (thrown: unknown) {
      calls.failed("RequestParsing", parser, "threw", thrown);
      parsed = new RequestError("Internal", `parser "${parser.name}" failed`);
    }
    calls.observe("RequestParsing", parser, clock.now() - startMs);
    if (parsed instanceof RequestError) {
      this.#refuse(parsed);
      return;
    }
    const request = new InferenceRequest({
      id: this.#requestId,
      headers,
      body: parsed,
      bodyBytes: body.length,
      receivedAtMs: this.#receivedAtMs,
      proxyMetadata: this.#metadata,
    });
    this.#request = request;
    let recorded: SchedulingResult | undefined;
    const outcome = this.#router.control.route(request, (result) => {
      recorded = result;
    });
    if (outcome instanceof Promise) {
      outcome
        .then((settled) => this.#decided(request, settled, recorded, body, trailersFollow))
        .catch((thrown: unknown) => {
          // Nobody else would hear of it: the data plane's call that started this has long returned.
          const fields = { requestId: this.#requestId, cause: errorText(thrown) };
          this.#router.logger.error(fields, "the data plane failed to take a decision");
        });
    } else this.#decided(request, outcome, recorded, body, trailersFollow);
  }

  #decided(
    request: InferenceRequest,
    outcome: SchedulingResult | RequestError,
    recorded: SchedulingResult | undefined,
    body: Uint8Array,
    trailersFollow: boolean,
  ): void {
    if (this.#state !== "deciding") {
      // The client left while a stage was waiting; what the decision recorded must be released.
      if (recorded !== undefined) this.#newResponse(recorded).finish("client-disconnect");
      return;
    }
    // Kept also when a pre-request plugin refused: others have recorded the decision, and `close` releases it.
    this.#result = recorded;
    if (outcome instanceof RequestError) {
      this.#refuse(outcome);
      return;
    }
    const primary = outcome.profiles.get(outcome.primaryProfile)!;
    const slices = this.#bodyToSend(request, body);
    if (slices instanceof RequestError) {
      this.#refuse(slices);
      return;
    }
    const bodyBytes = slices.reduce((sum, slice) => sum + slice.length, 0);
    const destination = primary.targets.map((target) => target.hostPort).join(",");
    const { metrics } = this.#router;
    const bound = metrics.of(request);
    bound.total.inc();
    bound.sizeBytes.observe(bodyBytes);
    bound.running.inc();
    this.#running = true;
    this.#state = "routed";
    const routed: RoutedRequest = {
      targets: primary.targets,
      destination,
      headers: this.#requestMutation(destination, bodyBytes, request),
      body: slices,
      bodyBytes,
      hasBody: true,
      scores: this.#router.emitScores
        ? Object.fromEntries(primary.candidates.map((endpoint, i) => [endpoint.hostPort, primary.totals[i]!]))
        : undefined,
      trailersFollow,
      skipResponse: request.body.skipResponse === true,
    };
    request.releaseBody();
    this.#sink.routed(routed);
  }

  #bodyToSend(request: InferenceRequest, body: Uint8Array): readonly Uint8Array[] | RequestError {
    if (request.targetModel === request.incomingModel || request.body.rewriteModel === undefined) {
      return body.length === 0 ? [] : [body];
    }
    try {
      return request.body.rewriteModel(request.targetModel);
    } catch (thrown: unknown) {
      this.#router.calls.failed("RequestParsing", this.#parser!, "threw while rewriting the model name", thrown);
      return new RequestError("Internal", "Error marshalling request body");
    }
  }

  #requestMutation(
    destination: string,
    bodyBytes: number | undefined,
    request: InferenceRequest | undefined,
  ): HeaderMutation {
    const set: [string, string][] = [[wireNames.destination, destination]];
    if (bodyBytes !== undefined && bodyBytes > 0) set.push(["Content-Length", String(bodyBytes)]);
    if (this.#generatedRequestId) set.push([wireNames.requestId, this.#requestId]);
    if (request !== undefined) {
      for (const [name, value] of request.upstreamHeaders) set.push([name, value]);
    }
    const remove = new Set<string>();
    for (const name of this.#headers?.names ?? []) {
      if (controlHeaders.has(name) && !set.some(([key]) => key === name)) remove.add(name);
    }
    return { set, remove: [...remove] };
  }

  #refuse(error: RequestError): void {
    this.#state = "ended";
    this.#errorCode = error.code;
    this.#router.logger.info(
      { requestId: this.#requestId, code: error.code, reason: error.reason, problem: error.message },
      "request rejected",
    );
    this.#sink.reply(replyFor(error));
  }

  #startResponse(): ResponsePhase {
    this.#response ??= this.#newResponse(this.#result);
    return this.#response;
  }

  #newResponse(result: SchedulingResult | undefined): ResponsePhase {
    return new ResponsePhase({
      router: this.#router,
      sink: this.#sink,
      request: this.#request,
      result,
      parser: this.#parser ?? this.#router.parsers.select(requestPath(this.#headers)),
      receivedAtMs: this.#receivedAtMs,
    });
  }
}

/** The client's view of a refused request. */
export function replyFor(error: RequestError): ImmediateReply {
  return {
    status: error.httpStatus,
    body: error.body,
    headers: error.reason === undefined ? [] : [[wireNames.dropReason, error.reason]],
  };
}
