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
import { destinationsOf } from "../scheduling/destinations.ts";
import type { PluginCalls } from "../scheduling/plugin-calls.ts";
import { aliasedHeaders, wireNames } from "../wire-names.ts";
import { BodyChunks } from "./body-chunks.ts";
import { type ErrorFormat, evictionReply, replyFor } from "./error-reply.ts";
import type { ExchangeObserver, ExchangeWatch } from "./exchange-observer.ts";
import type { ExchangeSink, RoutedRequest } from "./exchange-sink.ts";
import type { HeldBodies } from "./held-bodies.ts";
import type { InFlightPlace, InFlightRequests } from "./in-flight-requests.ts";
import type { OpenExchanges } from "./open-exchanges.ts";
import { type ParserSelection, requestPath } from "./parser-selection.ts";
import type { RequestControl } from "./request-control.ts";
import type { BoundMetrics, RequestMetrics } from "./request-metrics.ts";
import { requestMutation } from "./request-mutation.ts";
import { ResponsePhase } from "./response-phase.ts";
import { unreadBody } from "./unread-body.ts";

/** Namespaces that the metadata of a request's messages may have together. */
const maxNamespaces = 256;

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
  /** Counts the bodies that wait to be routed; a request for which there is no room ends with 503. Absent: no bound. */
  readonly heldBodies?: HeldBodies;
  /** Counts what is kept of answers until they are whole; one for which there is no room passes on as it comes. Absent: no bound. */
  readonly heldAnswers?: HeldBodies;
  /** Put the primary profile's scores into the metadata of the reply. */
  readonly emitScores: boolean;
  /**
   * False: nobody needs what a parser finds in request bodies. They pass unparsed, but for those that a rewrite header
   * changes. True when absent.
   */
  readonly readsRequestBodies?: boolean;
  /** False: nobody needs the answers; the proxy may stop asking once a request is routed. True when absent. */
  readonly readsResponses?: boolean;
  /** Text when absent. */
  readonly errorFormat?: ErrorFormat;
  /** Gets every routed request until its answer is complete; absent where nobody evicts. */
  readonly inFlight?: InFlightRequests;
  /** Follows every exchange; absent where nobody does. */
  readonly observer?: ExchangeObserver;
  /** Counts the exchanges that are open; absent where nobody asks. */
  readonly open?: OpenExchanges;
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
  readonly #body = new BodyChunks();
  /** Bytes of it that are counted as held. */
  #heldBytes = 0;
  #trailersFollow = false;
  #parser: NamedPlugin<Parser> | undefined;
  #request: InferenceRequest | undefined;
  #result: SchedulingResult | undefined;
  #errorCode: string | undefined;
  #state: "receiving" | "deciding" | "routed" | "ended" = "receiving";
  /** Metrics of the request while it counts as running, also when its labels change. */
  #running: BoundMetrics | undefined;
  #response: ResponsePhase | undefined;
  #inFlight: InFlightPlace | undefined;
  #completeAtMs: number | undefined;
  #evicted = false;
  #watch: ExchangeWatch | undefined;
  #closed = false;

  constructor(router: Router, sink: ExchangeSink) {
    this.#router = router;
    this.#sink = sink;
    this.#receivedAtMs = router.clock.now();
    router.open?.opened();
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
    const given = headers.first(wireNames.requestId);
    this.#generatedRequestId = given === undefined || given === "";
    this.#requestId = this.#generatedRequestId ? this.#router.newRequestId() : given!;
    this.#watch = this.#router.observer?.begin(headers);
    if (this.#refusesMetadata()) return;
    if (endOfStream) this.#routeBodyless();
  }

  /** Namespaces in `metadata` of a body message replace those of the headers. */
  requestBody(bytes: Uint8Array, endOfStream: boolean, metadata: MetadataObject): void {
    if (this.#state !== "receiving") return;
    for (const _ in metadata) {
      this.#metadata = { ...this.#metadata, ...metadata };
      if (this.#refusesMetadata()) return;
      break;
    }
    const { maxRequestBodyBytes: limit, heldBodies } = this.#router;
    if (this.#body.byteCount + bytes.length > limit) {
      this.#refuse(new RequestError("PayloadTooLarge", `request body exceeds ${limit} bytes`));
      return;
    }
    if (heldBodies !== undefined) {
      if (!heldBodies.take(bytes.length)) {
        const problem = `request bodies that wait would take more than ${heldBodies.limitBytes} bytes`;
        this.#refuse(new RequestError("ServiceUnavailable", problem));
        return;
      }
      this.#heldBytes += bytes.length;
    }
    this.#body.push(bytes);
    if (endOfStream) this.#routeBody();
  }

  /** Trailers end a body that was not marked as ended. */
  requestTrailers(): void {
    if (this.#state === "routed") {
      this.#sink.requestTrailers();
      return;
    }
    // While a decision waits, they are answered with it.
    this.#trailersFollow = true;
    if (this.#state === "receiving") this.#routeBody();
  }

  responseHeaders(headers: Headers, endOfStream: boolean, metadata: MetadataObject): void {
    this.#answering()?.headers(headers, endOfStream, metadata);
    this.#noteComplete();
  }

  responseBody(bytes: Uint8Array, endOfStream: boolean): void {
    this.#answering()?.body(bytes, endOfStream);
    this.#noteComplete();
  }

  responseTrailers(): void {
    this.#answering()?.trailers();
    this.#noteComplete();
  }

  /** Answers a request that is not routed yet with an error that the data plane found. */
  refuse(error: RequestError): void {
    if (this.#state === "receiving") this.#refuse(error);
  }

  /** Ends the exchange. `cause` says why if the answer is not complete. */
  close(cause: Exclude<TerminationCause, "natural">): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#router.open?.closed();
    this.#state = "ended";
    this.#request?.abort();
    const { metrics, clock } = this.#router;
    this.#untrack();
    if (this.#result !== undefined) this.#startResponse().finish(this.#evicted ? "evicted" : cause);
    this.#running?.running.dec();
    this.#running = undefined;
    const response = this.#response;
    response?.release();
    const errorCode = response?.modelServerError === true ? "ModelServerError" : this.#errorCode;
    if (errorCode !== undefined) metrics.error(this.#request ?? this.#headers, errorCode);
    const responseWorkMs = response?.workMs(this.#completeAtMs ?? clock.now()) ?? 0;
    if (responseWorkMs > 0) metrics.responseWorkSeconds.observe(responseWorkMs / 1000);
    this.#letGo();
    this.#watch?.closed({
      cause: response?.complete === true ? "natural" : this.#evicted ? "evicted" : cause,
      modelServerError: response?.modelServerError === true,
    });
  }

  /** Ends the exchange if its metadata has too many namespaces. */
  #refusesMetadata(): boolean {
    if (Object.keys(this.#metadata).length <= maxNamespaces) return false;
    this.#metadata = {};
    this.#refuse(new RequestError("BadRequest", `metadata of more than ${maxNamespaces} namespaces`));
    return true;
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
    this.#observeRequestWork();
    this.#sink.routed({
      targets: [endpoint],
      destination: endpoint.hostPort,
      headers: this.#mutation(endpoint.hostPort, undefined, undefined),
      body: [],
      bodyBytes: 0,
      hasBody: false,
      scores: undefined,
      trailersFollow: false,
      skipResponse: this.#router.readsResponses === false,
    });
  }

  #routeBody(): void {
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
    const body = this.#body.take();
    const startMs = clock.now();
    let parsed: ParsedRequest | RequestError;
    if (this.#router.readsRequestBodies === false && !headers.getAliased(aliasedHeaders.modelRewrite)) {
      parsed = unreadBody;
    } else {
      try {
        parsed = parser.instance.parseRequest(path, headers, body);
      } catch (thrown: unknown) {
        calls.failed("RequestParsing", parser, "threw", thrown);
        parsed = new RequestError("Internal", `parser "${parser.name}" failed`);
      }
      calls.observe("RequestParsing", parser, clock.now() - startMs);
    }
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
        .then((settled) => this.#decided(request, settled, recorded, body))
        .catch((thrown: unknown) => {
          // Nobody else would hear of it: the data plane's call that started this has long returned.
          const fields = { requestId: this.#requestId, cause: errorText(thrown) };
          this.#router.logger.error(fields, "a decision could not be made, or the data plane failed to take it");
          if (this.#state !== "deciding") return;
          this.#refuse(new RequestError("Internal", "routing failed; see the log of the endpoint picker"));
        });
    } else this.#decided(request, outcome, recorded, body);
  }

  #decided(
    request: InferenceRequest,
    outcome: SchedulingResult | RequestError,
    recorded: SchedulingResult | undefined,
    body: Uint8Array,
  ): void {
    if (this.#state !== "deciding") {
      // The client left while a stage was waiting; what the decision recorded must be released.
      if (recorded !== undefined) this.#newResponse(recorded).finish("client-disconnect");
      this.#letGo();
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
    const targets = destinationsOf(outcome);
    const destination = targets.map((target) => target.hostPort).join(",");
    const { metrics } = this.#router;
    const bound = metrics.of(request);
    bound.total.inc();
    bound.sizeBytes.observe(bodyBytes);
    bound.running.inc();
    this.#running = bound;
    this.#state = "routed";
    const routed: RoutedRequest = {
      targets,
      destination,
      headers: this.#mutation(destination, bodyBytes, request.upstreamHeaders),
      body: slices,
      bodyBytes,
      hasBody: true,
      scores: this.#router.emitScores
        ? Object.fromEntries(primary.candidates.map((endpoint, i) => [endpoint.hostPort, primary.totals[i]!]))
        : undefined,
      trailersFollow: this.#trailersFollow,
      skipResponse: this.#skipsResponse(request),
    };
    request.releaseBody();
    this.#letGo();
    this.#track(request, outcome);
    this.#observeRequestWork();
    this.#sink.routed(routed);
  }

  #observeRequestWork(): void {
    const { metrics, clock } = this.#router;
    metrics.requestWorkSeconds.observe((clock.now() - this.#receivedAtMs) / 1000);
  }

  /** An answer that names the rewritten model must be seen, to put the client's name back. */
  #skipsResponse(request: InferenceRequest): boolean {
    if (request.body.skipResponse === true) return true;
    return (
      this.#router.readsResponses === false &&
      (request.targetModel === request.incomingModel || request.body.rewriteModel === undefined)
    );
  }

  #track(request: InferenceRequest, result: SchedulingResult): void {
    const { inFlight, clock } = this.#router;
    if (inFlight === undefined) return;
    this.#inFlight = inFlight.add({ request, result, routedAtMs: clock.now(), evict: () => this.#evict() });
  }

  #untrack(): void {
    if (this.#inFlight === undefined) return;
    this.#router.inFlight?.delete(this.#inFlight);
    this.#inFlight = undefined;
  }

  /** A whole answer cannot be evicted any more, and is counted although its stream may stay open. */
  #noteComplete(): void {
    const response = this.#response;
    if (this.#completeAtMs !== undefined || response?.complete !== true) return;
    this.#completeAtMs = this.#router.clock.now();
    this.#untrack();
    const durationMs = this.#completeAtMs - this.#receivedAtMs;
    this.#router.metrics.complete(this.#request, { ...response.answer, durationMs });
  }

  #evict(): boolean {
    if (this.#inFlight === undefined || this.#state !== "routed") return false;
    this.#untrack();
    this.#evicted = true;
    this.#state = "ended";
    this.#errorCode = "ResourceExhausted";
    this.#router.logger.info({ requestId: this.#requestId, reason: "evicted" }, "request evicted");
    this.#watch?.refused({ code: "ResourceExhausted", message: "request evicted" });
    this.#sink.reply(evictionReply(this.#router.errorFormat));
    return true;
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

  #mutation(
    destination: string,
    bodyBytes: number | undefined,
    upstreamHeaders: ReadonlyMap<string, string> | undefined,
  ): HeaderMutation {
    const generatedId = this.#generatedRequestId ? this.#requestId : undefined;
    const mutation = requestMutation({ received: this.#headers, destination, bodyBytes, generatedId, upstreamHeaders });
    const watched = this.#watch?.upstreamHeaders();
    if (watched === undefined) return mutation;
    return { set: [...mutation.set, ...watched.set], remove: [...mutation.remove, ...watched.remove] };
  }

  /** The body is held no longer. */
  #letGo(): void {
    this.#body.clear();
    if (this.#heldBytes === 0) return;
    this.#router.heldBodies?.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #refuse(error: RequestError): void {
    this.#state = "ended";
    this.#letGo();
    this.#observeRequestWork();
    this.#errorCode = error.code;
    this.#router.logger.info(
      { requestId: this.#requestId, code: error.code, reason: error.reason, problem: error.message },
      "request rejected",
    );
    this.#watch?.refused(error);
    this.#sink.reply(replyFor(error, this.#router.errorFormat));
  }

  /** What takes the answer; nothing does once the exchange has ended. */
  #answering(): ResponsePhase | undefined {
    if (this.#state === "ended") return undefined;
    // An answer can overtake the decision (the proxy answered itself): then neither that nor the body is of use.
    if (this.#state === "receiving") this.#letGo();
    this.#state = "routed";
    return this.#startResponse();
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
