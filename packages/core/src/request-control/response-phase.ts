import { Headers } from "../headers.ts";
import type { Parser, ResponseReader, Usage } from "../plugin/parser.ts";
import type { TerminationCause } from "../plugin/request-plugins.ts";
import type { NamedPlugin } from "../plugin/roles.ts";
import type { SchedulingResult } from "../plugin/scheduling-plugins.ts";
import type { InferenceRequest, MetadataObject, MetadataValue } from "../request.ts";
import { wireNames } from "../wire-names.ts";
import { BodyChunks } from "./body-chunks.ts";
import type { Router } from "./exchange.ts";
import type { ExchangeSink } from "./exchange-sink.ts";
import type { BoundMetrics, CompleteAnswer } from "./request-metrics.ts";

/**
 * An answer that is not a stream is held back until it is complete, up to this many bytes; a longer one passes on as it
 * comes.
 */
export const maxHeldResponseBytes: number = 1024 * 1024;

const noBytes = new Uint8Array(0);

interface Init {
  readonly router: Router;
  readonly sink: ExchangeSink;
  readonly request: InferenceRequest | undefined;
  readonly result: SchedulingResult | undefined;
  readonly parser: NamedPlugin<Parser> | undefined;
  readonly receivedAtMs: number;
}

/** The answer's half of an exchange. */
export class ResponsePhase {
  readonly #init: Init;
  readonly #answersEachPiece: boolean;
  #headers: Headers = new Headers();
  #streaming: boolean;
  #reader: ResponseReader | undefined;
  #held: BodyChunks | undefined;
  /** False where pieces cannot be held, and once the answer is too long for it. */
  #holds: boolean;
  /** Bytes of it, and of what the reader keeps, that are counted. */
  #countedBytes = 0;
  /** There was no room once: nothing is kept any more. */
  #passesAll = false;
  #started = false;
  /** Plugins have seen the first bytes. */
  #shown = false;
  /** Bytes that plugins have not seen. */
  #bytesToShow = 0;
  #finished = false;
  #brokenReader = false;
  #metrics: BoundMetrics | undefined;
  #bodyBytes = 0;
  #headersAtMs: number | undefined;
  #firstByteAtMs: number | undefined;
  #lastBytesAtMs = 0;
  /** Time at work on a stream so far. */
  #workMs = 0;
  #dynamicMetadata: Map<string, Map<string, MetadataValue>> | undefined;
  /** The model server answered with an error status. */
  modelServerError = false;
  /** The whole answer passed. */
  complete = false;

  constructor(init: Init) {
    this.#init = init;
    this.#streaming = init.request?.body.stream ?? false;
    this.#answersEachPiece = init.sink.answersEachPiece ?? false;
    this.#holds = !this.#answersEachPiece;
  }

  get usage(): Usage | undefined {
    return this.#reader?.usage;
  }

  /** What metrics of a complete answer need. */
  get answer(): Omit<CompleteAnswer, "durationMs"> {
    const firstByteMs = this.#firstByteAtMs === undefined ? undefined : this.#firstByteAtMs - this.#init.receivedAtMs;
    return { firstByteMs, bodyBytes: this.#bodyBytes, streaming: this.#streaming, usage: this.usage };
  }

  /** Milliseconds at work on the answer until then: of a stream without the waiting between its pieces. */
  workMs(untilMs: number): number {
    return this.#streaming ? this.#workMs : untilMs - (this.#headersAtMs ?? untilMs);
  }

  headers(headers: Headers, endOfStream: boolean, metadata: MetadataObject): void {
    const { router, sink, request, result } = this.#init;
    this.#headersAtMs = router.clock.now();
    this.#headers = headers;
    const status = Number(headers.get(":status") ?? headers.get("status") ?? Number.NaN);
    this.modelServerError = !Number.isNaN(status) && (status < 200 || status > 299);
    const contentType = headers.get("content-type");
    // A gRPC answer looks the same streamed or whole: what the request asked for holds.
    if (contentType !== undefined && !/^application\/grpc\b/i.test(contentType)) {
      this.#streaming = contentType.toLowerCase().includes("text/event-stream");
    }
    const setHeaders = new Map<string, string>([[wireNames.wentIntoResponseHeaders, "true"]]);
    if (request !== undefined && result !== undefined) {
      const event = {
        headers,
        status: Number.isNaN(status) ? undefined : status,
        servedBy: servedEndpoint(metadata),
        proxyMetadata: metadata,
        setHeaders,
      };
      for (const plugin of router.responseHeaderProcessors) {
        const startMs = router.clock.now();
        try {
          plugin.instance.responseHeaders(request, result, event);
        } catch (thrown: unknown) {
          router.calls.failed("ResponseReceived", plugin, "threw", thrown);
        }
        router.calls.observe("ResponseReceived", plugin, router.clock.now() - startMs);
      }
    }
    sink.responseHeaders({ set: [...setHeaders], remove: [] });
    this.#workMs += router.clock.now() - this.#headersAtMs;
    // The data plane may have ended the exchange when it could not send the headers on.
    if (endOfStream && !this.#finished) {
      this.#step(noBytes, true);
      this.complete = true;
    }
  }

  body(bytes: Uint8Array, endOfStream: boolean): void {
    if (this.#finished) return;
    if (!this.#streaming && this.#holds) {
      this.#held ??= new BodyChunks();
      this.#held.push(bytes);
      if (!endOfStream && this.#held.byteCount <= maxHeldResponseBytes && this.#hasRoom()) return;
      this.#holds = endOfStream;
      this.#pass(this.#held.take(), endOfStream);
      return;
    }
    const { clock } = this.#init.router;
    const startMs = clock.now();
    if (this.#streaming && bytes.length > 0) this.#timePiece(startMs);
    this.#pass(bytes, endOfStream);
    this.#workMs += clock.now() - startMs;
  }

  trailers(): void {
    const { sink } = this.#init;
    if (this.#finished) {
      sink.responseTrailers();
      return;
    }
    const held = this.#streaming ? undefined : this.#held?.take();
    const out = this.#step(held ?? noBytes, true);
    this.complete = true;
    if (out.length > 0) {
      sink.responseBody(out, false, this.#metadata());
      sink.responseTrailers();
    } else sink.responseTrailers(this.#metadata());
  }

  /** Gives the plugins their last event if the answer did not end by itself. */
  finish(cause: Exclude<TerminationCause, "natural">): void {
    if (!this.#finished) this.#notify(0, true, cause);
    this.#finished = true;
  }

  /** Nothing of the answer is kept any more. */
  release(): void {
    if (this.#countedBytes > 0) this.#init.router.heldAnswers?.give(this.#countedBytes);
    this.#countedBytes = 0;
  }

  /** Counts what is kept at this moment. False where there is no room for it: then the reader lets go of its part. */
  #hasRoom(): boolean {
    const { router, request } = this.#init;
    const { heldAnswers } = router;
    if (heldAnswers === undefined) return true;
    if (!this.#passesAll) {
      const more = (this.#held?.byteCount ?? 0) + (this.#reader?.keptBytes ?? 0) - this.#countedBytes;
      if (more === 0) return true;
      if (heldAnswers.take(more)) {
        this.#countedBytes += more;
        return true;
      }
    }
    this.#reader?.letGo?.();
    if (this.#passesAll) return false;
    this.#passesAll = true;
    this.release();
    router.metrics.answersLetGo.inc();
    router.logger.info(
      { requestId: request?.id, limitBytes: heldAnswers.limitBytes },
      "too much is kept of answers: this one passes on as it comes, and its usage may stay unknown",
    );
    return false;
  }

  #pass(bytes: Uint8Array, endOfStream: boolean): void {
    const out = this.#step(bytes, endOfStream);
    if (endOfStream) this.complete = true;
    else this.#hasRoom();
    this.#init.sink.responseBody(out, endOfStream, endOfStream ? this.#metadata() : undefined);
  }

  #timePiece(nowMs: number): void {
    if (this.#started) {
      this.#metrics ??= this.#init.router.metrics.of(this.#init.request);
      this.#metrics.chunkGapSeconds.observe((nowMs - this.#lastBytesAtMs) / 1000);
    }
    this.#lastBytesAtMs = nowMs;
  }

  /** Lets the parser and the plugins see the next bytes; returns what to send on. */
  #step(bytes: Uint8Array, endOfStream: boolean): Uint8Array {
    const { router, request, parser, receivedAtMs } = this.#init;
    this.#bodyBytes += bytes.length;
    if (!this.#started && bytes.length > 0) {
      this.#firstByteAtMs = router.clock.now();
      router.metrics.firstByte(request, this.#streaming, (this.#firstByteAtMs - receivedAtMs) / 1000);
    }
    let out = bytes;
    if (parser !== undefined && !this.#brokenReader) {
      try {
        this.#reader ??= parser.instance.responseReader(request?.body, {
          headers: this.#headers,
          streaming: this.#streaming,
          restoreModel: this.#restoreModel(),
          ignoresEvents: router.responseBodyProcessors.length === 0,
        });
        out = this.#reader.chunk(bytes, endOfStream);
      } catch (thrown: unknown) {
        this.#brokenReader = true;
        router.calls.failed("ResponseParsing", parser, "threw", thrown);
      }
    }
    this.#bytesToShow += bytes.length;
    // An empty piece that ends nothing is no step: the first event is the one with the first bytes. What is no stream is
    // one event, also where its pieces cannot be held.
    const isStep = endOfStream || (bytes.length > 0 && (this.#streaming || !this.#answersEachPiece));
    if (isStep) this.#notify(this.#bytesToShow, endOfStream, endOfStream ? "natural" : undefined);
    if (bytes.length > 0) this.#started = true;
    if (endOfStream) {
      this.#finished = true;
      this.release();
    }
    return out;
  }

  #notify(chunkBytes: number, endOfStream: boolean, terminationCause: TerminationCause | undefined): void {
    this.#bytesToShow = 0;
    const { router, request, result } = this.#init;
    if (request === undefined || result === undefined || router.responseBodyProcessors.length === 0) return;
    const startOfStream = !this.#shown;
    if (chunkBytes > 0) this.#shown = true;
    const event = {
      startOfStream,
      endOfStream,
      chunkBytes,
      usage: this.#reader?.usage,
      streamedEvents: this.#reader?.events ?? 0,
      terminationCause,
      setDynamicMetadata: (namespace: string, key: string, value: MetadataValue): void => {
        this.#dynamicMetadata ??= new Map();
        let values = this.#dynamicMetadata.get(namespace);
        if (values === undefined) {
          values = new Map();
          this.#dynamicMetadata.set(namespace, values);
        }
        values.set(key, value);
      },
    };
    for (const plugin of router.responseBodyProcessors) {
      const startMs = router.clock.now();
      try {
        plugin.instance.responseBody(request, result, event);
      } catch (thrown: unknown) {
        router.calls.failed("ResponseStreaming", plugin, "threw", thrown);
      }
      router.calls.observe("ResponseStreaming", plugin, router.clock.now() - startMs);
    }
  }

  #restoreModel(): { readonly from: string; readonly to: string } | undefined {
    const { request } = this.#init;
    if (request === undefined || request.targetModel === request.incomingModel) return undefined;
    if (request.targetModel === "" || request.incomingModel === "") return undefined;
    return { from: request.targetModel, to: request.incomingModel };
  }

  #metadata(): MetadataObject | undefined {
    if (this.#dynamicMetadata === undefined) return undefined;
    return Object.fromEntries(
      Array.from(this.#dynamicMetadata, ([namespace, values]) => [namespace, Object.fromEntries(values)]),
    );
  }
}

function servedEndpoint(metadata: MetadataObject): string | undefined {
  const namespace = metadata[wireNames.lbNamespace];
  if (typeof namespace !== "object" || namespace === null || Array.isArray(namespace)) return undefined;
  const served = (namespace as MetadataObject)[wireNames.destinationServed];
  return typeof served === "string" ? served : undefined;
}
