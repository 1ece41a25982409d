import type { Endpoint } from "../endpoint.ts";
import type { Headers } from "../headers.ts";
import type { InferenceRequest, MetadataObject, MetadataValue } from "../request.ts";
import type { RequestError } from "../request-error.ts";
import type { Usage } from "./parser.ts";
import type { SchedulingResult } from "./scheduling-plugins.ts";

/** Looks at a request as soon as its body is parsed, before admission. */
export interface RequestHeaderProcessor {
  /** Returns an error to end the request. */
  requestHeaders(request: InferenceRequest): RequestError | undefined;
}

/** Narrows the candidates before producers run. Each screener sees all candidates; the results are intersected. */
export interface Screener {
  /** Returns the candidates to keep. */
  screen(request: InferenceRequest, endpoints: readonly Endpoint[]): readonly Endpoint[];
}

/** Computes data about a request for those who consume it. The one place on the way of a request where waiting is allowed. */
export interface DataProducer {
  /** Writes what it declares to produce. Exceptions and time-outs are logged and counted; the request continues. */
  produce(request: InferenceRequest, endpoints: readonly Endpoint[]): void | Promise<void>;
  /** Longest time to wait; 400 ms when absent. */
  readonly produceTimeoutMs?: number;
}

/** Refuses requests once data about them is known. */
export interface Admitter {
  /** Returns an error to refuse the request; its code reaches the client. */
  admitRequest(request: InferenceRequest, endpoints: readonly Endpoint[]): RequestError | undefined;
}

/** Acts on a decision before the request leaves: sets headers for the model server, records state. */
export interface PreRequest {
  preRequest(request: InferenceRequest, result: SchedulingResult): RequestError | undefined;
}

/** A response's headers, and what plugins change in them. */
export interface ResponseHeadersEvent {
  readonly headers: Headers;
  /** HTTP status, where known. */
  readonly status: number | undefined;
  /** Endpoint that served, as the proxy reports it (`host:port`). */
  readonly servedBy: string | undefined;
  readonly proxyMetadata: MetadataObject;
  /** Headers set on the way to the client. */
  readonly setHeaders: Map<string, string>;
}

/** Sees response headers. */
export interface ResponseHeaderProcessor {
  responseHeaders(request: InferenceRequest, result: SchedulingResult, event: ResponseHeadersEvent): void;
}

/** Why a response ended. */
export type TerminationCause = "natural" | "client-disconnect" | "evicted" | "error";

/** One step of a response body. The last event of a request has `endOfStream`, also when the request was cut off. */
export interface ResponseBodyEvent {
  readonly startOfStream: boolean;
  readonly endOfStream: boolean;
  readonly chunkBytes: number;
  readonly usage: Usage | undefined;
  readonly streamedEvents: number;
  /** Present with `endOfStream`. */
  readonly terminationCause: TerminationCause | undefined;
  /** With `endOfStream`: values reported to the proxy, by namespace and key. */
  setDynamicMetadata(namespace: string, key: string, value: MetadataValue): void;
}

/** Sees response bodies step by step. */
export interface ResponseBodyProcessor {
  responseBody(request: InferenceRequest, result: SchedulingResult, event: ResponseBodyEvent): void;
}

/** Says how full the pool is. */
export interface SaturationDetector {
  /** 0 = idle, 1 or more = saturated. An empty pool is saturated. */
  saturation(endpoints: readonly Endpoint[], nowMs: number): number;
}
