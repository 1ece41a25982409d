/** Facts of a span. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** The span of one call to a server. */
export interface CallSpan {
  /** Headers that name this span to the server, in the place of the client's. */
  readonly headers: ReadonlyMap<string, string>;
  end(attributes: SpanAttributes, problem?: string): void;
}

/** The span of one request, and those of its calls. */
export interface RequestTrace {
  stage(name: string, attributes: SpanAttributes): CallSpan;
  end(attributes: SpanAttributes, problem?: string): void;
}

/** What of a request its span tells. */
export interface TracedRequest {
  readonly method: string;
  readonly path: string;
  readonly requestId: string;
  /** Every value of a header, name in lower case. */
  values(name: string): readonly string[];
}

/** What the coordinator needs of a tracing library. */
export interface CoordinatorTracing {
  begin(request: TracedRequest): RequestTrace;
  /** Sends what is left and stops. */
  shutdown(): Promise<void>;
}
