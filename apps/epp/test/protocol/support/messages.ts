import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { ProcessingRequestSchema, ProcessingResponse } from "@pointsman/proto/ext-proc";

export type Message = MessageInitShape<typeof ProcessingRequestSchema>;
export type Pairs = readonly (readonly [name: string, value: string])[] | Readonly<Record<string, string>>;
type Metadata = Readonly<Record<string, JsonObject>> | undefined;

const headerMap = (pairs: Pairs) => ({
  headers: (Array.isArray(pairs) ? (pairs as readonly (readonly [string, string])[]) : Object.entries(pairs)).map(
    ([key, value]) => ({ key, rawValue: Buffer.from(value, "latin1") }),
  ),
});
const context = (metadata: Metadata) =>
  metadata === undefined ? {} : { metadataContext: { filterMetadata: metadata as Record<string, JsonObject> } };

/** Values of Envoy's `BodySendMode`. */
export const bodyMode = { none: 0, streamed: 1, buffered: 2, bufferedPartial: 3, fullDuplex: 4, grpc: 5 } as const;

/** Modes that Envoy runs in; full duplex where one is not given. */
interface Modes {
  readonly request?: number;
  readonly response?: number;
}

/** What Envoy sends in the request phase. */
export const request = {
  headers: (pairs: Pairs, endOfStream = false, metadata?: Metadata, modes?: Modes): Message => ({
    request: { case: "requestHeaders", value: { headers: headerMap(pairs), endOfStream } },
    ...context(metadata),
    ...(modes === undefined
      ? {}
      : {
          protocolConfig: {
            requestBodyMode: modes.request ?? bodyMode.fullDuplex,
            responseBodyMode: modes.response ?? bodyMode.fullDuplex,
          },
        }),
  }),
  body: (body: string | Uint8Array, endOfStream = true, metadata?: Metadata): Message => ({
    request: { case: "requestBody", value: { body: Buffer.from(body), endOfStream } },
    ...context(metadata),
  }),
  trailers: (pairs: Pairs = {}): Message => ({
    request: { case: "requestTrailers", value: { trailers: headerMap(pairs) } },
  }),
};

/** What Envoy sends in the response phase. */
export const response = {
  headers: (pairs: Pairs, endOfStream = false, metadata?: Metadata): Message => ({
    request: { case: "responseHeaders", value: { headers: headerMap(pairs), endOfStream } },
    ...context(metadata),
  }),
  body: (body: string | Uint8Array, endOfStream = false): Message => ({
    request: { case: "responseBody", value: { body: Buffer.from(body), endOfStream } },
  }),
  trailers: (pairs: Pairs = {}): Message => ({
    request: { case: "responseTrailers", value: { trailers: headerMap(pairs) } },
  }),
};

/** The subset hint as Envoy forwards it. */
export const subset = (hint: JsonObject[string]): Record<string, JsonObject> => ({
  "envoy.lb.subset_hint": { "x-gateway-destination-endpoint-subset": hint },
});

/** A completion request as the Go picker's suite writes it. */
export const completion = (prompt: string, model: string): string =>
  `{"max_tokens":100,"model":${JSON.stringify(model)},"prompt":${JSON.stringify(prompt)},"temperature":0}`;

/** A reply in plain values. Absent parts are left out, so that a comparison sees all of a message. */
export interface Reply {
  readonly kind: string | undefined;
  readonly set?: readonly (readonly [name: string, value: string])[];
  readonly remove?: readonly string[];
  readonly clearRouteCache?: boolean;
  readonly body?: string;
  readonly bytes?: number;
  readonly endOfStream?: boolean;
  /** The proxy sends the piece on as it has it. */
  readonly kept?: true;
  /** Goes on in the piece's place. */
  readonly replacement?: string;
  readonly status?: number;
  readonly metadata?: JsonObject;
}

/** Reads a reply. Throws on fields that the picker must never use. */
export function read(message: ProcessingResponse): Reply {
  const { response: reply, dynamicMetadata } = message;
  const metadata = dynamicMetadata === undefined ? {} : { metadata: dynamicMetadata };
  switch (reply.case) {
    case "requestHeaders":
    case "responseHeaders": {
      const common = reply.value.response;
      if (common?.bodyMutation !== undefined) throw new Error("a headers reply changes a body");
      return {
        kind: reply.case,
        set: pairsOf(common?.headerMutation?.setHeaders),
        remove: common?.headerMutation?.removeHeaders ?? [],
        clearRouteCache: common?.clearRouteCache ?? false,
        ...metadata,
      };
    }
    case "requestBody":
    case "responseBody": {
      const common = reply.value.response;
      const mutation = common?.bodyMutation?.mutation;
      if (common !== undefined && common.bodyMutation === undefined) {
        return { kind: reply.case, kept: true, ...metadata };
      }
      if (mutation?.case === "body") {
        const replacement = Buffer.from(mutation.value).toString("latin1");
        const set = pairsOf(common?.headerMutation?.setHeaders);
        return { kind: reply.case, replacement, ...(set.length === 0 ? {} : { set }), ...metadata };
      }
      if (mutation?.case !== "streamedResponse") throw new Error(`a body reply holds ${mutation?.case}`);
      const { body, endOfStream } = mutation.value;
      return {
        kind: reply.case,
        body: Buffer.from(body).toString("latin1"),
        bytes: body.length,
        endOfStream,
        ...metadata,
      };
    }
    case "immediateResponse": {
      const { status, headers, body } = reply.value;
      return {
        kind: reply.case,
        status: status?.code ?? 0,
        body: Buffer.from(body).toString(),
        set: pairsOf(headers?.setHeaders),
        ...metadata,
      };
    }
    default:
      return { kind: reply.case, ...metadata };
  }
}

function pairsOf(
  options: readonly {
    readonly header?: { readonly key: string; readonly value: string; readonly rawValue: Uint8Array } | undefined;
  }[] = [],
): (readonly [string, string])[] {
  return options.map(({ header }) => {
    if (header === undefined || header.value !== "") throw new Error("a set header is not written as raw_value");
    return [header.key, Buffer.from(header.rawValue).toString("latin1")];
  });
}

/** The value a header is set to. */
export const setTo = (reply: Reply | undefined, name: string): string | undefined =>
  reply?.set?.find(([key]) => key === name)?.[1];
