import { ProtoFields, wireType } from "@pointsman/core/grpc-frame";

/**
 * Field numbers that are read; all other fields are passed over.
 *
 * Source: `ChatCompletionsRequest`, `StreamRawPredictRequest` and `RawPredictRequest` in
 * google/cloud/aiplatform/v1beta1/prediction_service.proto (the latter two also in v1), and google/api/httpbody.proto,
 * both of googleapis/googleapis.
 */
const request = { httpBody: 2 } as const;
const httpBody = { contentType: 1, data: 2 } as const;

/** Parts of one HttpBody that are put together. Clients send one. */
const maxParts = 8;

const noBytes = new Uint8Array(0);

/** What an HttpBody holds, as views. */
export interface HttpBody {
  /** Empty where none is given. */
  readonly contentType: Uint8Array;
  readonly data: Uint8Array;
}

/**
 * Finds the HttpBody of a request; the three kinds of requests have it in the same place.
 * Missing values: undefined when there is none. Errors: what is malformed, in words.
 */
export function requestHttpBody(message: Uint8Array): HttpBody | undefined | string {
  const fields = new ProtoFields(message);
  let found: HttpBody | undefined;
  let parts = 0;
  while (fields.next()) {
    if (!fields.is(request.httpBody, wireType.bytes)) continue;
    if (++parts > maxParts) return `the HttpBody has more than ${maxParts} parts`;
    const part = readHttpBody(fields.bytes(), found);
    if (typeof part === "string") return part;
    found = part;
  }
  return fields.problem ?? found;
}

/** Reads an HttpBody; what it does not say is taken from `before`. Errors: what is malformed, in words. */
export function readHttpBody(message: Uint8Array, before?: HttpBody): HttpBody | string {
  const fields = new ProtoFields(message);
  let contentType = before?.contentType ?? noBytes;
  let data = before?.data ?? noBytes;
  while (fields.next()) {
    if (fields.is(httpBody.contentType, wireType.bytes)) contentType = fields.bytes();
    else if (fields.is(httpBody.data, wireType.bytes)) data = fields.bytes();
  }
  return fields.problem ?? { contentType, data };
}
