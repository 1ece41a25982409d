import type { ClientRequest } from "./client/client-request.ts";

/** Facts of a span. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** The span of one call to a model server. */
export interface StageSpan {
  /** Headers that name this span to the server, in the place of the client's. */
  readonly headers: ReadonlyMap<string, string>;
  end(attributes: SpanAttributes, problem?: string): void;
}

/** The span of one request, and those under it. */
export interface RequestTrace {
  stage(name: "prefill" | "decode" | "encode", attributes: SpanAttributes): StageSpan;
  end(attributes: SpanAttributes, problem?: string): void;
}

/** What the sidecar needs of a tracing library. */
export interface SidecarTracing {
  begin(request: ClientRequest): RequestTrace;
  /** Sends what is left and stops. */
  shutdown(): Promise<void>;
}
